-- The tables, as the chain of steps that made them. A step is never changed once it was released:
-- a change is a new step, with its place in `migrations.py`. A new file goes through all of them.

-- name: step_1
-- Raw events, their sessions and batches, and the aliases of projects.
CREATE TABLE raw_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  session TEXT NOT NULL,
  kind TEXT NOT NULL,
  at REAL NOT NULL,
  received_at REAL NOT NULL,
  boundary INTEGER NOT NULL,
  flushed_at REAL,
  metadata TEXT NOT NULL,
  content TEXT NOT NULL,
  UNIQUE (group_id, event_id)
) STRICT;
CREATE INDEX raw_events_by_session ON raw_events (group_id, session, seq);
CREATE INDEX raw_events_unflushed ON raw_events (seq) WHERE flushed_at IS NULL;
CREATE INDEX raw_events_flushed ON raw_events (flushed_at) WHERE flushed_at IS NOT NULL;
CREATE TABLE sessions (
  group_id TEXT NOT NULL,
  session TEXT NOT NULL,
  cursor INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0,
  tools INTEGER NOT NULL DEFAULT 0,
  prompts INTEGER NOT NULL DEFAULT 0,
  first_pending_at REAL,
  last_pending_at REAL,
  boundary INTEGER NOT NULL DEFAULT 0,
  compacted_at REAL,
  PRIMARY KEY (group_id, session)
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  session TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
  state TEXT NOT NULL CHECK (state IN ('started', 'completed', 'error', 'skipped', 'gave_up')),
  attempts INTEGER NOT NULL,
  claims INTEGER NOT NULL,
  owner TEXT NOT NULL,
  error TEXT NOT NULL,
  claimed_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  retry_at REAL,
  UNIQUE (group_id, session, first_seq)
) STRICT;
CREATE UNIQUE INDEX batches_one_running ON batches (group_id, session) WHERE state = 'started';
CREATE INDEX batches_open ON batches (group_id, session, first_seq)
  WHERE state IN ('started', 'error');
CREATE TABLE projects (
  alias TEXT PRIMARY KEY,
  group_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Adds each new event to its session's counts, in the event's own statement.
CREATE TRIGGER raw_events_counted AFTER INSERT ON raw_events BEGIN
  INSERT INTO sessions (group_id, session, pending, tools, prompts, first_pending_at,
                        last_pending_at, boundary, compacted_at)
  VALUES (new.group_id, new.session, 1, new.kind IN ('file_edit', 'command', 'tool'),
          new.kind = 'prompt', new.received_at, new.received_at, new.boundary,
          iif(new.kind = 'compaction', new.at, NULL))
  ON CONFLICT (group_id, session) DO UPDATE SET
    pending = pending + 1,
    tools = tools + excluded.tools,
    prompts = prompts + excluded.prompts,
    first_pending_at = coalesce(first_pending_at, excluded.first_pending_at),
    last_pending_at = excluded.last_pending_at,
    boundary = boundary | excluded.boundary,
    compacted_at = max(coalesce(compacted_at, excluded.compacted_at),
                       coalesce(excluded.compacted_at, compacted_at));
END;

-- name: step_2
-- What an operator asks: names, titles, counts, outcomes, how much waited when; what retention needs.
ALTER TABLE sessions ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN first_at REAL NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN last_at REAL NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN episodes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN finished_at REAL;
ALTER TABLE batches ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE batches ADD COLUMN tags_version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE groups (
  group_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  root TEXT NOT NULL,
  seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
-- The last look in each slot of 30 seconds.
CREATE TABLE samples (
  slot INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  pending INTEGER NOT NULL,
  oldest_age REAL NOT NULL,
  open INTEGER NOT NULL,
  gave_up INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
-- Events that came in each minute; they outlive the events. Counted now and then, up to the row
-- `counted` of `marks`, so that an append does not pay for it.
CREATE TABLE arrivals (
  minute INTEGER PRIMARY KEY,
  events INTEGER NOT NULL
) STRICT;
CREATE TABLE marks (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX raw_events_turns ON raw_events (received_at) WHERE kind = 'success';
-- Flushed rows that no later flush of their session reads again: they may go by age alone.
CREATE INDEX raw_events_fading ON raw_events (flushed_at)
  WHERE flushed_at IS NOT NULL
    AND kind NOT IN ('file_edit', 'command', 'error', 'success', 'prompt');
CREATE INDEX batches_by_state ON batches (state, group_id, session);
CREATE INDEX batches_unsettled ON batches (group_id, session, first_seq)
  WHERE state IN ('started', 'error', 'gave_up');
CREATE INDEX batches_finished ON batches (finished_at) WHERE finished_at IS NOT NULL;
DROP TRIGGER raw_events_counted;
-- As before, and: how many there were, from when to when, what the first prompt asked.
CREATE TRIGGER raw_events_counted AFTER INSERT ON raw_events BEGIN
  INSERT INTO sessions (group_id, session, pending, tools, prompts, first_pending_at,
                        last_pending_at, boundary, compacted_at, events, first_at, last_at, title)
  VALUES (new.group_id, new.session, 1, new.kind IN ('file_edit', 'command', 'tool'),
          new.kind = 'prompt', new.received_at, new.received_at, new.boundary,
          iif(new.kind = 'compaction', new.at, NULL), 1, new.received_at, new.received_at,
          iif(new.kind = 'prompt',
              substr(trim(substr(ltrim(substr(new.content, 1, 4000), char(9, 10, 13, 32)), 1, instr(
                ltrim(substr(new.content, 1, 4000), char(9, 10, 13, 32)) || char(10), char(10)) - 1),
                char(9, 13, 32)), 1, 200), ''))
  ON CONFLICT (group_id, session) DO UPDATE SET
    pending = pending + 1,
    tools = tools + excluded.tools,
    prompts = prompts + excluded.prompts,
    first_pending_at = coalesce(first_pending_at, excluded.first_pending_at),
    last_pending_at = excluded.last_pending_at,
    boundary = boundary | excluded.boundary,
    compacted_at = max(coalesce(compacted_at, excluded.compacted_at),
                       coalesce(excluded.compacted_at, compacted_at)),
    events = events + 1,
    last_at = max(last_at, excluded.last_at),
    title = iif(title = '', excluded.title, title);
END;
-- What stands already.
UPDATE sessions SET events = known.events, first_at = known.first_at, last_at = known.last_at
FROM (SELECT group_id, session, count(*) AS events, min(received_at) AS first_at,
             max(received_at) AS last_at
      FROM raw_events GROUP BY group_id, session) AS known
WHERE sessions.group_id = known.group_id AND sessions.session = known.session;
UPDATE sessions SET first_at = known.first_at, last_at = known.last_at
FROM (SELECT group_id, session, min(claimed_at) AS first_at, max(updated_at) AS last_at
      FROM batches GROUP BY group_id, session) AS known
WHERE sessions.group_id = known.group_id AND sessions.session = known.session
  AND sessions.events = 0;
UPDATE sessions SET title = coalesce((
  SELECT substr(trim(substr(ltrim(substr(content, 1, 4000), char(9, 10, 13, 32)), 1, instr(
           ltrim(substr(content, 1, 4000), char(9, 10, 13, 32)) || char(10), char(10)) - 1),
           char(9, 13, 32)), 1, 200)
  FROM raw_events AS r
  WHERE r.group_id = sessions.group_id AND r.session = sessions.session AND r.kind = 'prompt'
    AND ltrim(substr(content, 1, 4000), char(9, 10, 13, 32)) <> ''
  ORDER BY r.seq LIMIT 1), '');
UPDATE batches SET
  events = (SELECT count(*) FROM raw_events AS r
            WHERE r.group_id = batches.group_id AND r.session = batches.session
              AND r.seq BETWEEN batches.first_seq AND batches.last_seq),
  finished_at = iif(state IN ('completed', 'skipped', 'gave_up'), updated_at, NULL);
INSERT INTO arrivals
SELECT cast(received_at / 60 AS INTEGER), count(*) FROM raw_events GROUP BY 1;
INSERT INTO marks SELECT 'counted', coalesce(max(seq), 0) FROM raw_events;
-- A project's alias `place:<host>:<folder>` tells where it is, the folder's last part what it is.
INSERT INTO groups
SELECT group_id, coalesce(max(replace(root, rtrim(root, replace(root, '/', '')), '')), ''),
       coalesce(max(root), ''), 0
FROM (SELECT group_id,
             iif(alias LIKE 'place:%:/%', substr(alias, instr(alias, ':/') + 1), NULL) AS root
      FROM projects)
GROUP BY group_id;
