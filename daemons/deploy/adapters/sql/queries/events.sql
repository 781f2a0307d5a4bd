-- The event log.

-- events_after --
-- Committed events with a higher number.
SELECT * FROM fun_ai_deploy_event WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- event_numbers --
-- Which numbers of a range there are.
SELECT seq FROM fun_ai_deploy_event WHERE seq > :low AND seq <= :high ORDER BY seq;

-- event_bounds --
-- The lowest and the highest number in the log.
SELECT COALESCE(MIN(seq), 0) AS lowest, COALESCE(MAX(seq), 0) AS highest FROM fun_ai_deploy_event;
