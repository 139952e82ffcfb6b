-- OpenCode's tables. Format: `-- name:`, one line of purpose, the statement.

-- name: columns
-- What a table has; nothing when there is no such table.
SELECT name FROM pragma_table_info(:name);

-- name: sessions
-- Every session, newest first, with the main folder of its repository.
SELECT s.id, coalesce(s.parent_id, ''), s.directory, coalesce(p.worktree, ''), s.title,
       s.time_created, s.time_updated
FROM session AS s LEFT JOIN project AS p ON p.id = s.project_id
ORDER BY s.time_updated DESC, s.id LIMIT :most;

-- name: family
-- A session and all that serve it.
WITH RECURSIVE family (id) AS (
  SELECT id FROM session WHERE id = :root
  UNION SELECT s.id FROM family JOIN session AS s ON s.parent_id = family.id LIMIT :most)
SELECT s.id, coalesce(s.parent_id, ''), s.directory, coalesce(p.worktree, ''), s.title,
       s.time_created, s.time_updated
FROM family JOIN session AS s USING (id) LEFT JOIN project AS p ON p.id = s.project_id;

-- name: newest
-- When something of these sessions was last written, in ms.
SELECT max(m.time_updated) FROM json_each(:sessions) AS wanted
JOIN message AS m ON m.session_id = wanted.value;

-- name: messages
-- The messages of these sessions from a moment on, in the order they were begun. Without the diffs
-- of a turn, which can be megabytes; the files that are gone after it stay.
SELECT m.id, m.session_id, m.time_created,
       CASE WHEN length(m.data) > :most OR NOT json_valid(m.data) THEN NULL
            ELSE json_remove(m.data, '$.summary.diffs') END,
       CASE WHEN length(m.data) > :most OR NOT json_valid(m.data) THEN '[]'
            ELSE (SELECT json_group_array(json_extract(d.value, '$.file'))
                  FROM json_each(m.data, '$.summary.diffs') AS d
                  WHERE d.type = 'object' AND json_extract(d.value, '$.status') = 'deleted') END
FROM (
  SELECT m.id FROM json_each(:sessions) AS wanted
  JOIN message AS m ON m.session_id = wanted.value
  WHERE (m.time_created, m.id) > (:created, :id)
  ORDER BY m.time_created, m.id LIMIT :limit) AS page
JOIN message AS m ON m.id = page.id
ORDER BY m.time_created, m.id;

-- name: parts
-- The parts of a message that tell something, in order.
SELECT id, time_updated, data FROM part
WHERE message_id = :message AND length(data) <= :most AND json_valid(data)
  AND json_extract(data, '$.type') IN ('text', 'tool', 'patch', 'compaction')
ORDER BY id LIMIT :limit;
