-- A spool of schema version 1 with something in every table, as version 1 of the tables held it.
-- Run on an empty file. The trigger makes the sessions; what the flush did is written out.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
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
PRAGMA application_id = 1869049203;
PRAGMA user_version = 1;
INSERT INTO projects VALUES
  ('place:box:/home/me/shop', 'g_1'), ('remote:example.org/me/shop', 'g_1'),
  ('commit:0123abcd', 'g_2');
-- Session s of g_1: two batches that ended, one that failed, one event after them.
INSERT INTO raw_events (event_id, group_id, session, kind, at, received_at, boundary, metadata, content)
VALUES
  ('p1', 'g_1', 's', 'prompt', 100, 120, 0, '{"type":"prompt"}', char(10) || '  Fix the cart ' || char(10) || 'and more'),
  ('c1', 'g_1', 's', 'command', 101, 121, 0, '{"type":"command","command":"make","exit":1}', 'make'),
  ('d1', 'g_1', 's', 'success', 102, 122, 1, '{"type":"success","tokens":{"input":7,"output":3}}', 'Completed: cart'),
  ('t1', 'g_1', 's', 'tool', 103, 180, 0, '{"type":"tool","tool":"read"}', 'Read: a.py'),
  ('x1', 'g_1', 's', 'compaction', 104, 190, 1, '{"type":"compaction"}', ''),
  ('f1', 'g_1', 's', 'file_edit', 105, 200, 0, '{"type":"file_edit","path":"a.py"}', 'Modified: a.py'),
  ('p2', 'g_1', 's', 'prompt', 106, 260, 0, '{"type":"prompt"}', 'And the till');
INSERT INTO batches VALUES
  (1, 'g_1', 's', 1, 3, 'completed', 1, 1, 'bridge', '', 130, 135, NULL),
  (2, 'g_1', 's', 4, 5, 'skipped', 1, 1, 'bridge', '', 191, 192, NULL),
  (3, 'g_1', 's', 6, 6, 'error', 2, 3, 'bridge', 'Unavailable: the graph is away', 210, 215, 400);
UPDATE raw_events SET flushed_at = 135 WHERE seq <= 3;
UPDATE raw_events SET flushed_at = 192 WHERE seq IN (4, 5);
UPDATE sessions SET cursor = 5, pending = 2, tools = 1, prompts = 1, first_pending_at = 200,
                    last_pending_at = 260, boundary = 0 WHERE session = 's';
-- Session t of g_2: a batch that was given up, one that runs.
INSERT INTO raw_events (event_id, group_id, session, kind, at, received_at, boundary, metadata, content)
VALUES
  ('e1', 'g_2', 't', 'error', 107, 300, 0, '{"type":"error"}', 'Error: poison'),
  ('n1', 'g_2', 't', 'note', 108, 310, 0, '{"type":"note"}', 'remember me'),
  ('p1', 'g_2', 't', 'prompt', 109, 320, 0, '{"type":"prompt"}', 'the same id in another project');
INSERT INTO batches VALUES
  (4, 'g_2', 't', 8, 8, 'gave_up', 5, 5, 'bridge', 'Rejected: poison', 305, 308, NULL),
  (5, 'g_2', 't', 9, 10, 'started', 1, 1, 'bridge', '', 330, 331, NULL);
UPDATE sessions SET cursor = 8, pending = 2, tools = 0, prompts = 1, first_pending_at = 310,
                    last_pending_at = 320 WHERE session = 't';
COMMIT;
