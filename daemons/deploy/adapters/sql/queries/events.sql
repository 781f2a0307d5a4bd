-- The event log, and the logs of jobs.

-- events_after --
-- Committed events with a higher number.
SELECT * FROM fun_ai_deploy_event WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- event_numbers --
-- Which numbers of a range there are.
SELECT seq FROM fun_ai_deploy_event WHERE seq > :low AND seq <= :high ORDER BY seq;

-- event_bounds --
-- The lowest and the highest number in the log.
SELECT COALESCE(MIN(seq), 0) AS lowest, COALESCE(MAX(seq), 0) AS highest FROM fun_ai_deploy_event;

-- insert_log --
-- One byte range of a job's log.
INSERT INTO fun_ai_deploy_job_log (job_id, start_offset, content) VALUES (:job_id, :start_offset, :content);

-- log_from --
-- The byte range that holds `offset` and those after it that begin before `end`.
SELECT start_offset, content FROM fun_ai_deploy_job_log
WHERE job_id = :job_id AND start_offset < :end AND start_offset >= COALESCE((
    SELECT MAX(start_offset) FROM fun_ai_deploy_job_log WHERE job_id = :job_id AND start_offset <= :offset
), 0)
ORDER BY start_offset;
