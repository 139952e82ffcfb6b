-- What an operator asks. Format: `-- name:`, one line of purpose, the statement.

-- name: totals
-- What waits, since when, and how many sessions there are.
SELECT coalesce(sum(pending), 0) AS pending, min(first_pending_at) AS first_pending_at,
       count(*) AS sessions
FROM sessions;

-- name: batch_states
-- How many batches stand in which state.
SELECT state, count(*) FROM batches INDEXED BY batches_by_state GROUP BY state;

-- name: foremost_sessions
-- Sessions that want attention, longest waiting first; then the others, newest first.
SELECT s.group_id, s.session, s.cursor, s.pending, s.first_pending_at, s.last_pending_at,
       s.compacted_at, s.events, s.first_at, s.last_at, s.title,
       coalesce(g.name, '') AS project
FROM (SELECT group_id, session FROM sessions AS s
      WHERE :session IS NULL OR session = :session
      ORDER BY pending = 0 AND NOT EXISTS (
                 SELECT 1 FROM batches INDEXED BY batches_unsettled
                 WHERE group_id = s.group_id AND session = s.session
                   AND state IN ('started', 'error', 'gave_up')),
               first_pending_at IS NULL, first_pending_at, last_at DESC, group_id, session
      LIMIT :limit) AS chosen
JOIN sessions AS s USING (group_id, session)
LEFT JOIN groups AS g USING (group_id)
ORDER BY s.pending = 0 AND NOT EXISTS (
           SELECT 1 FROM batches INDEXED BY batches_unsettled
           WHERE group_id = s.group_id AND session = s.session
             AND state IN ('started', 'error', 'gave_up')),
         s.first_pending_at IS NULL, s.first_pending_at, s.last_at DESC, s.group_id, s.session;

-- name: sessions_named
-- How many sessions have a name.
SELECT count(*) FROM sessions WHERE session = ?;

-- name: session_states
-- How many batches of one session stand in which state.
SELECT state, count(*) FROM batches INDEXED BY batches_by_state
WHERE state IN ('started', 'completed', 'error', 'skipped', 'gave_up')
  AND group_id = ? AND session = ? GROUP BY state;

-- name: unsettled_batch
-- What is wrong in one session: its open batch, else the last that was given up.
SELECT attempts, error, retry_at FROM batches INDEXED BY batches_unsettled
WHERE group_id = ? AND session = ? AND state IN ('started', 'error', 'gave_up')
ORDER BY state = 'gave_up', iif(state = 'gave_up', -first_seq, first_seq) LIMIT 1;

-- name: sessions
-- Sessions after a place in the order of their last event, newest first.
SELECT s.group_id, s.session, s.title, s.first_at, s.last_at, s.events, s.pending,
       coalesce(g.name, '') AS project
FROM sessions AS s LEFT JOIN groups AS g USING (group_id)
WHERE (:group_id IS NULL OR s.group_id = :group_id)
  AND (:at IS NULL OR s.last_at < :at
       OR s.last_at = :at AND (s.group_id, s.session) > (:after_group, :after_session))
  AND (:text IS NULL OR holds(s.title, :text) OR holds(s.session, :text) OR EXISTS (
    SELECT 1 FROM batches AS b
    WHERE b.group_id = s.group_id AND b.session = s.session AND holds(b.summary, :text)))
ORDER BY s.last_at DESC, s.group_id, s.session LIMIT :limit;

-- name: session_tags
-- The tags of one session's batches, newest batch first.
SELECT tags FROM batches WHERE group_id = ? AND session = ? AND state = 'completed' AND tags <> '[]'
ORDER BY first_seq DESC LIMIT 50;

-- name: session_summary
-- The newest summary of one session.
SELECT summary FROM batches
WHERE group_id = ? AND session = ? AND state = 'completed' AND summary <> ''
ORDER BY first_seq DESC LIMIT 1;

-- name: projects
-- Projects that have told something, or are registered with a place or a remote; newest first.
SELECT group_id, coalesce(g.name, '') AS name, coalesce(g.root, '') AS root,
       coalesce(s.sessions, 0) AS sessions, coalesce(s.events, 0) AS events,
       coalesce(s.pending, 0) AS pending, coalesce(s.last_at, g.seen_at, 0) AS last_at
FROM (SELECT group_id FROM projects UNION SELECT group_id FROM sessions)
LEFT JOIN groups AS g USING (group_id)
LEFT JOIN (SELECT group_id, count(*) AS sessions, sum(events) AS events, sum(pending) AS pending,
                  max(last_at) AS last_at
           FROM sessions GROUP BY group_id) AS s USING (group_id)
ORDER BY last_at DESC, group_id;

-- name: unflushed
-- A project's rows that the graph does not have, newest first: what waits, and what was given up.
SELECT * FROM raw_events WHERE seq IN (
  SELECT r.seq FROM sessions AS s JOIN raw_events AS r USING (group_id, session)
  WHERE s.group_id = :group_id AND s.pending > 0 AND (:session IS NULL OR s.session = :session)
    AND r.seq > s.cursor AND r.flushed_at IS NULL
  UNION
  SELECT r.seq FROM batches AS b INDEXED BY batches_unsettled
  JOIN raw_events AS r USING (group_id, session)
  WHERE b.group_id = :group_id AND (:session IS NULL OR b.session = :session)
    AND b.state IN ('started', 'error', 'gave_up')
    AND r.seq BETWEEN b.first_seq AND b.last_seq AND r.flushed_at IS NULL
  ORDER BY 1 DESC LIMIT :most)
ORDER BY at DESC, event_id LIMIT :limit;

-- name: arrived
-- Events that came in, by minute: counted ones, and those since the last count.
SELECT minute * 60.0, events FROM arrivals WHERE minute BETWEEN :since AND :until
UNION ALL
SELECT cast(received_at / 60 AS INTEGER) * 60.0 AS at, count(*) FROM raw_events
WHERE seq > (SELECT seq FROM marks WHERE name = 'counted')
  AND cast(received_at / 60 AS INTEGER) BETWEEN :since AND :until
GROUP BY at;

-- name: ended
-- Batches that ended in a period.
SELECT finished_at, state, finished_at - claimed_at, episodes, json_array_length(tags),
       length(summary)
FROM batches INDEXED BY batches_finished
WHERE finished_at IS NOT NULL AND finished_at >= :since AND finished_at < :until;

-- name: oldest_batch
-- When the first batch that retention has not taken ended well.
SELECT finished_at FROM batches INDEXED BY batches_finished
WHERE finished_at IS NOT NULL AND state IN ('completed', 'skipped') ORDER BY finished_at LIMIT 1;

-- name: failed
-- Batches that are in `error` since some time in a period.
SELECT updated_at, state, 0.0, 0, 0, 0 FROM batches INDEXED BY batches_open
WHERE state IN ('started', 'error') AND state = 'error'
  AND updated_at >= :since AND updated_at < :until;

-- name: turns
-- The turns that ended in a period, and what they used.
SELECT received_at, iif(json_type(metadata, '$.tokens') IN ('integer', 'real', 'object'),
                        json_quote(json_extract(metadata, '$.tokens')), 'null')
FROM raw_events INDEXED BY raw_events_turns
WHERE kind = 'success' AND received_at >= :since AND received_at < :until;

-- name: samples
-- How much waited when somebody looked.
SELECT at, pending, oldest_age FROM samples WHERE at >= :since AND at < :until;
