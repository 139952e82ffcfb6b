-- What goes, and what is noted for later. Format: `-- name:`, one line of purpose, the statement.

-- name: sample
-- How much waits now; the last look in a slot stays.
INSERT OR REPLACE INTO samples (slot, at, pending, oldest_age, open, gave_up, bytes)
SELECT :slot, :now, coalesce(sum(pending), 0), max(0.0, :now - coalesce(min(first_pending_at), :now)),
       (SELECT count(*) FROM batches WHERE state IN ('started', 'error')),
       (SELECT count(*) FROM batches INDEXED BY batches_unsettled
        WHERE state IN ('started', 'error', 'gave_up') AND state = 'gave_up'),
       :bytes
FROM sessions;

-- name: count_arrivals
-- Adds what came in since the last count.
INSERT INTO arrivals
SELECT cast(received_at / 60 AS INTEGER), count(*) FROM raw_events
WHERE seq > (SELECT seq FROM marks WHERE name = 'counted') GROUP BY 1
ON CONFLICT (minute) DO UPDATE SET events = events + excluded.events;

-- name: mark_arrivals
-- Up to here they are counted.
UPDATE marks SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM raw_events))
WHERE name = 'counted';

-- name: old_samples
-- Looks that nobody asks for any more.
DELETE FROM samples WHERE slot < ?;

-- name: old_arrivals
-- The same for counts of arrivals.
DELETE FROM arrivals WHERE minute < ?;

-- name: fading
-- Flushed rows that no later flush reads, from before a time, earliest first.
DELETE FROM raw_events WHERE seq IN (
  SELECT seq FROM raw_events INDEXED BY raw_events_fading
  WHERE flushed_at IS NOT NULL
    AND kind NOT IN ('file_edit', 'command', 'error', 'success', 'prompt')
    AND flushed_at < :before ORDER BY flushed_at, seq LIMIT :limit);

-- name: flushed_earliest
-- Any flushed rows, earliest first.
DELETE FROM raw_events WHERE seq IN (
  SELECT seq FROM raw_events INDEXED BY raw_events_flushed
  WHERE flushed_at IS NOT NULL ORDER BY flushed_at, seq LIMIT :limit);

-- name: past_sessions
-- Sessions without an event or the end of a batch since a time, and nothing that waits or failed.
SELECT group_id, session FROM sessions AS s
WHERE pending = 0 AND last_at < :before AND NOT EXISTS (
  SELECT 1 FROM batches AS b
  WHERE b.group_id = s.group_id AND b.session = s.session
    AND (b.state IN ('started', 'error', 'gave_up')
         OR coalesce(b.finished_at, b.updated_at) >= :before))
LIMIT :limit;

-- name: quiet_sessions
-- Sessions that still have rows, without an event since a time and nothing that waits or failed.
-- The oldest are looked at first, and no further than it takes: what costs comes behind the order.
SELECT group_id, session FROM (
  SELECT group_id, session FROM sessions
  WHERE pending = 0 AND last_at < :before
  ORDER BY last_at, group_id, session LIMIT -1) AS s
WHERE NOT EXISTS (
  SELECT 1 FROM batches AS b INDEXED BY batches_unsettled
  WHERE b.group_id = s.group_id AND b.session = s.session
    AND b.state IN ('started', 'error', 'gave_up'))
  AND EXISTS (SELECT 1 FROM raw_events AS r
              WHERE r.group_id = s.group_id AND r.session = s.session)
LIMIT :limit;

-- name: rows_of_session
-- The flushed rows of one session, earliest first.
DELETE FROM raw_events WHERE seq IN (
  SELECT seq FROM raw_events
  WHERE group_id = :group_id AND session = :session AND flushed_at IS NOT NULL
  ORDER BY seq LIMIT :limit);

-- name: has_rows
-- Whether a session has any row.
SELECT EXISTS (SELECT 1 FROM raw_events WHERE group_id = :group_id AND session = :session);

-- name: batches_of_session
-- The books of a session that is gone.
DELETE FROM batches WHERE group_id = :group_id AND session = :session;

-- name: session
-- The session itself.
DELETE FROM sessions WHERE group_id = :group_id AND session = :session;

-- name: past_batches
-- Batches that ended before a time and of which no row is left.
DELETE FROM batches WHERE id IN (
  SELECT id FROM batches AS b INDEXED BY batches_finished
  WHERE finished_at IS NOT NULL AND finished_at < :before AND state IN ('completed', 'skipped')
    AND NOT EXISTS (
      SELECT 1 FROM raw_events AS r
      WHERE r.group_id = b.group_id AND r.session = b.session
        AND r.seq BETWEEN b.first_seq AND b.last_seq)
  LIMIT :limit);

-- name: discard_rows
-- A whole project: its rows,
DELETE FROM raw_events WHERE group_id = ?;

-- name: discard_batches
-- its batches,
DELETE FROM batches WHERE group_id = ?;

-- name: discard_sessions
-- its sessions,
DELETE FROM sessions WHERE group_id = ?;

-- name: discard_aliases
-- its aliases
DELETE FROM projects WHERE group_id = ?;

-- name: discard_group
-- and its name.
DELETE FROM groups WHERE group_id = ?;
