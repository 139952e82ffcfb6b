-- Every statement of the spool. Format: `-- name:`, one line of purpose, the statement.

-- name: schema
-- Tables and indices of schema version 1; run once, in one transaction, on an empty file.
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

-- name: counting
-- The rest of the schema: adds each new event to its session's counts, in the event's own statement.
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

-- name: append
-- Stores one event unless its project knows its id.
INSERT INTO raw_events
  (event_id, group_id, session, kind, at, received_at, boundary, metadata, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, event_id) DO NOTHING;

-- name: move_cursor
-- Moves the cursor to the end of a terminal batch, never back.
UPDATE sessions SET cursor = max(cursor, :last_seq)
WHERE group_id = :group_id AND session = :session;

-- name: recount_session
-- Counts anew what waits after the cursor.
UPDATE sessions
SET (pending, tools, prompts, first_pending_at, last_pending_at, boundary) = (
  SELECT count(*), coalesce(sum(kind IN ('file_edit', 'command', 'tool')), 0),
         coalesce(sum(kind = 'prompt'), 0), min(received_at), max(received_at),
         coalesce(max(r.boundary), 0)
  FROM raw_events AS r
  WHERE r.group_id = sessions.group_id AND r.session = sessions.session
    AND r.seq > sessions.cursor)
WHERE group_id = :group_id AND session = :session;

-- name: pending_sessions
-- Sessions with rows after their cursor, longest waiting first.
SELECT group_id, session, pending, tools, prompts, first_pending_at, last_pending_at, boundary
FROM sessions WHERE pending > 0 ORDER BY first_pending_at, group_id, session;

-- name: open_batches
-- Batches that are not terminal: running ones first, then by range.
SELECT * FROM batches WHERE state IN ('started', 'error') ORDER BY state <> 'started', first_seq;

-- name: open_batch
-- The batch that a session's next claim has to deal with.
SELECT * FROM batches
WHERE group_id = ? AND session = ? AND state IN ('started', 'error')
ORDER BY state <> 'started', first_seq LIMIT 1;

-- name: batch
-- One batch by its id.
SELECT * FROM batches WHERE id = ?;

-- name: unclaimed
-- The session's rows after its cursor, with their size: what a new batch may cover.
SELECT r.seq, length(r.content) + length(r.metadata)
FROM raw_events AS r JOIN sessions AS s USING (group_id, session)
WHERE r.group_id = ? AND r.session = ? AND r.seq > s.cursor ORDER BY r.seq LIMIT ?;

-- name: new_batch
-- Fixes a range; the unique key lets one claimer win.
INSERT INTO batches (group_id, session, first_seq, last_seq, state, attempts, claims, owner, error,
                     claimed_at, updated_at)
VALUES (:group_id, :session, :first_seq, :last_seq, 'started', 1, 1, :owner, '', :now, :now)
RETURNING *;

-- name: reclaim
-- Starts the same range again.
UPDATE batches SET state = 'started', attempts = attempts + 1, claims = claims + 1,
                   owner = :owner, claimed_at = :now, updated_at = :now, retry_at = NULL
WHERE id = :id AND state = 'error' RETURNING *;

-- name: batch_rows
-- The rows of a batch, in order.
SELECT * FROM raw_events
WHERE group_id = ? AND session = ? AND seq BETWEEN ? AND ? ORDER BY seq;

-- name: heartbeat
-- Says that the claimer is alive.
UPDATE batches SET updated_at = :now WHERE id = :id AND claims = :claims AND state = 'started';

-- name: finish
-- Ends a batch of this claim, or sets it back to `error`.
UPDATE batches SET state = :state, error = :error, updated_at = :now, retry_at = :retry_at
WHERE id = :id AND claims = :claims AND state IN ('started', 'error');

-- name: mark_flushed
-- Notes that the graph has these rows.
UPDATE raw_events SET flushed_at = :now
WHERE group_id = :group_id AND session = :session AND seq BETWEEN :first_seq AND :last_seq
  AND flushed_at IS NULL;

-- name: release
-- Hands running batches back, at once and without counting the attempt.
UPDATE batches SET state = 'error', attempts = attempts - 1, error = 'released', updated_at = :now,
                   retry_at = :now
WHERE state = 'started' AND (:owner IS NULL OR owner = :owner);

-- name: stuck
-- Running batches without a heartbeat become errors; the attempt counts.
UPDATE batches SET state = 'error', error = 'no heartbeat', updated_at = :now, retry_at = :now
WHERE state = 'started' AND updated_at < :before;

-- name: retry
-- A person asks: the chosen batches are due at once, with all attempts before them.
UPDATE batches SET state = 'error', attempts = 0, updated_at = :now, retry_at = :now
WHERE id IN (
  SELECT id FROM batches
  WHERE (state = 'error' AND :error OR state = 'gave_up' AND :gave_up)
    AND (:group_id IS NULL OR group_id = :group_id) AND (:session IS NULL OR session = :session)
  ORDER BY id LIMIT :limit);

-- name: tail
-- Rows that are unflushed, or were flushed after a time; oldest first.
SELECT * FROM raw_events WHERE seq IN (
  SELECT seq FROM raw_events INDEXED BY raw_events_unflushed
  WHERE flushed_at IS NULL AND seq > :after
  UNION ALL
  SELECT seq FROM raw_events INDEXED BY raw_events_flushed
  WHERE flushed_at IS NOT NULL AND flushed_at > :since AND seq > :after
  ORDER BY 1 LIMIT :limit)
ORDER BY seq;

-- name: newest
-- The last row.
SELECT coalesce(max(seq), 0) FROM raw_events;

-- name: flushed
-- Which rows were flushed after a time, and when.
SELECT seq, flushed_at FROM raw_events INDEXED BY raw_events_flushed
WHERE flushed_at IS NOT NULL AND flushed_at > ? ORDER BY flushed_at, seq;

-- name: history
-- The session's events of some kinds without their bulk, in the order in which they happened.
SELECT seq, event_id, group_id, session, kind, at, received_at, boundary, flushed_at,
       json_remove(metadata, '$.diff', '$.content') AS metadata,
       substr(content, 1, :clip) AS content
FROM raw_events
WHERE group_id = :group_id AND session = :session AND seq <= :until
  AND kind IN (SELECT value FROM json_each(:kinds))
ORDER BY at, event_id;

-- name: session_events
-- A session's newest rows before a row, newest first.
SELECT * FROM raw_events WHERE group_id = ? AND session = ? AND seq < ? ORDER BY seq DESC LIMIT ?;

-- name: compacted_at
-- When the session's window was last compacted.
SELECT compacted_at FROM sessions WHERE group_id = ? AND session = ?;

-- name: all_sessions
-- Every session with its cursor and what waits.
SELECT group_id, session, cursor, pending, first_pending_at, last_pending_at, compacted_at
FROM sessions ORDER BY first_pending_at IS NULL, first_pending_at, group_id, session;

-- name: batch_states
-- How many batches of each session stand in which state.
SELECT group_id, session, state, count(*) FROM batches GROUP BY group_id, session, state;

-- name: prune
-- Deletes rows that were flushed before a time, earliest first.
DELETE FROM raw_events WHERE seq IN (
  SELECT seq FROM raw_events INDEXED BY raw_events_flushed
  WHERE flushed_at IS NOT NULL AND flushed_at < ? ORDER BY flushed_at, seq LIMIT ?);

-- name: alias
-- The group that an alias of a project stands for.
SELECT group_id FROM projects WHERE alias = ?;

-- name: register
-- Gives an alias a group; the first one stays.
INSERT INTO projects (alias, group_id) VALUES (?, ?) ON CONFLICT (alias) DO NOTHING;
