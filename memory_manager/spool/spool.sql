-- Appending and flushing. Format: `-- name:`, one line of purpose, the statement.

-- name: append
-- Stores one event unless its project knows its id.
INSERT INTO raw_events
  (event_id, group_id, session, kind, at, received_at, boundary, metadata, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, event_id) DO NOTHING;

-- name: alike
-- Whether a session's newest row may be what an event repeats: of its kind, with its text or none.
SELECT 1 FROM raw_events
WHERE seq = (SELECT max(seq) FROM raw_events WHERE group_id = ? AND session = ?)
  AND kind = ? AND event_id <> ? AND (content = ? OR content = '');

-- name: last_row
-- The newest row of a session.
SELECT event_id, group_id, session, kind, at, metadata, content FROM raw_events
WHERE group_id = ? AND session = ? ORDER BY seq DESC LIMIT 1;

-- name: known_row
-- The row of an event.
SELECT event_id, group_id, session, kind, at, metadata, content FROM raw_events
WHERE group_id = ? AND event_id = ?;

-- name: known_ids
-- Which of these events a project has.
SELECT event_id FROM raw_events
WHERE group_id = :group_id AND event_id IN (SELECT value FROM json_each(:ids));

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
SELECT group_id, session, pending, tools, prompts, first_pending_at, last_pending_at, boundary,
       first_at
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
                     claimed_at, updated_at, events)
VALUES (:group_id, :session, :first_seq, :last_seq, 'started', 1, 1, :owner, '', :now, :now,
        :events)
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
UPDATE batches SET state = :state, error = :error, updated_at = :now, retry_at = :retry_at,
                   finished_at = :finished_at, episodes = coalesce(:episodes, episodes),
                   summary = coalesce(:summary, summary), tags = coalesce(:tags, tags),
                   tags_version = coalesce(:tags_version, tags_version)
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
UPDATE batches SET state = 'error', attempts = 0, updated_at = :now, retry_at = :now,
                   finished_at = NULL
WHERE id IN (
  SELECT id FROM batches
  WHERE (state = 'error' AND :error OR state = 'gave_up' AND :gave_up)
    AND (:group_id IS NULL OR group_id = :group_id) AND (:session IS NULL OR session = :session)
  ORDER BY id LIMIT :limit);

-- name: reopen
-- A completed batch is due again, if any of its rows is left.
UPDATE batches SET state = 'error', attempts = 0, error = 'reopened', updated_at = :now,
                   retry_at = :now, finished_at = NULL
WHERE id = :id AND state = 'completed' AND EXISTS (
  SELECT 1 FROM raw_events AS r
  WHERE r.group_id = batches.group_id AND r.session = batches.session
    AND r.seq BETWEEN batches.first_seq AND batches.last_seq)
RETURNING *;

-- name: mark_unflushed
-- Notes that the graph has to be given these rows again.
UPDATE raw_events SET flushed_at = NULL
WHERE group_id = ? AND session = ? AND seq BETWEEN ? AND ? AND flushed_at IS NOT NULL;

-- name: completed
-- Completed batches after one, in order.
SELECT * FROM batches
WHERE id > :after AND state = 'completed' AND (:group_id IS NULL OR group_id = :group_id)
ORDER BY id LIMIT :limit;

-- name: to_tag
-- Completed batches that were tagged by an earlier version or never, and still have rows.
SELECT * FROM batches
WHERE id > :after AND state = 'completed' AND tags_version < :version AND EXISTS (
  SELECT 1 FROM raw_events AS r
  WHERE r.group_id = batches.group_id AND r.session = batches.session
    AND r.seq BETWEEN batches.first_seq AND batches.last_seq)
ORDER BY id LIMIT :limit;

-- name: count_to_tag
-- How many of them there are.
SELECT count(*) FROM batches
WHERE id > :after AND state = 'completed' AND tags_version < :version AND EXISTS (
  SELECT 1 FROM raw_events AS r
  WHERE r.group_id = batches.group_id AND r.session = batches.session
    AND r.seq BETWEEN batches.first_seq AND batches.last_seq);

-- name: note_summary
-- What a completed batch came to, told later.
UPDATE batches SET summary = :summary, tags = :tags, tags_version = :tags_version
WHERE id = :id AND state = 'completed';

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

-- name: tail_start
-- The unflushed row before the newest so many of them, and when it was received.
SELECT seq, received_at FROM raw_events INDEXED BY raw_events_unflushed
WHERE flushed_at IS NULL ORDER BY seq DESC LIMIT 1 OFFSET ?;

-- name: newest
-- The last row.
SELECT coalesce(max(seq), 0) FROM raw_events;

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

-- name: alias
-- The group that an alias of a project stands for.
SELECT group_id FROM projects WHERE alias = ?;

-- name: register
-- Gives an alias a group; the first one stays.
INSERT INTO projects (alias, group_id) VALUES (?, ?) ON CONFLICT (alias) DO NOTHING;

-- name: group
-- What is known of a project.
SELECT name, root, seen_at FROM groups WHERE group_id = ?;

-- name: register_group
-- What a project is called and where it is; what is not told stays.
INSERT INTO groups (group_id, name, root, seen_at) VALUES (:group_id, :name, :root, :now)
ON CONFLICT (group_id) DO UPDATE SET
  name = iif(excluded.name = '', name, excluded.name),
  root = iif(excluded.root = '', root, excluded.root),
  seen_at = max(seen_at, excluded.seen_at);
