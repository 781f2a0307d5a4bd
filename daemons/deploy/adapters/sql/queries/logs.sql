-- The logs of jobs: segments of bytes by offset, and one row for each log that is kept.

-- log_segments --
-- The segment that holds `offset` and those after it that begin before `end`.
SELECT start_offset, packed, content FROM fun_ai_deploy_log_segment
WHERE job_id = :job_id AND start_offset < :end AND start_offset >= COALESCE((
    SELECT MAX(start_offset) FROM fun_ai_deploy_log_segment WHERE job_id = :job_id AND start_offset <= :offset
), 0)
ORDER BY start_offset;

-- old_log_segments --
-- The same from the table of the releases before segments were sealed.
SELECT start_offset, content FROM fun_ai_deploy_job_log
WHERE job_id = :job_id AND start_offset < :end AND start_offset >= COALESCE((
    SELECT MAX(start_offset) FROM fun_ai_deploy_job_log WHERE job_id = :job_id AND start_offset <= :offset
), 0)
ORDER BY start_offset;

-- count_log_segments --
-- How many segments begin in a part of a log.
SELECT COUNT(*) AS pieces FROM fun_ai_deploy_log_segment
WHERE job_id = :job_id AND start_offset >= :start_offset AND start_offset < :end;

-- log_segments_between --
-- The segments that begin in a part of a log.
SELECT start_offset, packed, content FROM fun_ai_deploy_log_segment
WHERE job_id = :job_id AND start_offset >= :start_offset AND start_offset < :end
ORDER BY start_offset;

-- delete_log_segments_between --
-- The segments that one takes the place of.
DELETE FROM fun_ai_deploy_log_segment WHERE job_id = :job_id AND start_offset >= :start_offset AND start_offset < :end;

-- last_log_segment --
-- Where the last segment of a log begins.
SELECT MAX(start_offset) AS start_offset FROM fun_ai_deploy_log_segment WHERE job_id = :job_id;

-- log_size --
-- How many bytes the segments of a log take.
SELECT COALESCE(SUM(LENGTH(content)), 0) AS stored FROM fun_ai_deploy_log_segment WHERE job_id = :job_id;

-- old_log_size --
-- The same in the table of before.
SELECT COALESCE(SUM(LENGTH(content)), 0) AS stored FROM fun_ai_deploy_job_log WHERE job_id = :job_id;

-- settle_log --
-- A log whose job ended.
UPDATE fun_ai_deploy_log SET stored_bytes = :stored_bytes, ended_at = :ended_at WHERE job_id = :job_id;

-- unsettled_logs --
-- Logs whose jobs ended before, or are gone.
SELECT l.job_id FROM fun_ai_deploy_log l LEFT JOIN fun_ai_deploy_job j ON j.id = l.job_id
WHERE l.ended_at IS NULL
    AND (j.id IS NULL OR (j.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND j.finished_at < :before))
ORDER BY l.job_id LIMIT :limit;

-- stored_logs --
-- How many bytes all logs take, but for the last pieces of those that still grow.
SELECT COALESCE(SUM(stored_bytes), 0) AS stored FROM fun_ai_deploy_log;

-- ended_logs --
-- The logs whose jobs ended first.
SELECT job_id, stored_bytes, ended_at FROM fun_ai_deploy_log
WHERE ended_at IS NOT NULL ORDER BY ended_at, job_id LIMIT :limit;

-- save_log --
-- What a job says of its log; the row is locked.
UPDATE fun_ai_deploy_job
SET log_length = :log_length, log_expected = :log_expected, log_gaps = :log_gaps, log_removed = :log_removed,
    log_removed_at = :log_removed_at
WHERE id = :id;

-- follow_logs --
-- Somebody reads these logs as they grow.
UPDATE fun_ai_deploy_job SET log_followed_until = :until
WHERE id IN (:ids) AND status IN ('PENDING', 'RUNNING') AND log_followed_until < :until;

-- log_positions --
-- How far these logs are, and whether their jobs ended.
SELECT id, status, log_length FROM fun_ai_deploy_job WHERE id IN (:ids);

-- delete_logs --
-- The rows of these logs.
DELETE FROM fun_ai_deploy_log WHERE job_id IN (:ids);

-- delete_log_segments --
-- The segments of these logs.
DELETE FROM fun_ai_deploy_log_segment WHERE job_id IN (:ids);

-- delete_old_log_segments --
-- Those in the table of before.
DELETE FROM fun_ai_deploy_job_log WHERE job_id IN (:ids);

-- delete_log_parts --
-- What is known of their closed parts.
DELETE FROM fun_ai_deploy_log_part WHERE job_id IN (:ids);

-- log_part --
-- One holder's part of a log, after it was closed.
SELECT attempt, received, end_offset, gap, whole, closed_at FROM fun_ai_deploy_log_part
WHERE job_id = :job_id AND holder = :holder;
