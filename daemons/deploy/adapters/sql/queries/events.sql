-- The event log.

-- events_after --
-- Committed events with a higher number.
SELECT * FROM fun_ai_deploy_event WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- event_numbers --
-- Which numbers of a range there are.
SELECT seq FROM fun_ai_deploy_event WHERE seq > :low AND seq <= :high ORDER BY seq;

-- events_before --
-- Events of a range that are wanted, newest first; the range bounds what is looked at.
SELECT * FROM fun_ai_deploy_event
WHERE seq < :seq AND seq >= :low AND create_time >= :since AND (:kind IS NULL OR kind = :kind)
    AND (:subject IS NULL OR subject = :subject) AND (:actor IS NULL OR actor = :actor)
ORDER BY seq DESC
LIMIT :limit;

-- event_before --
-- The newest event with a lower number.
SELECT * FROM fun_ai_deploy_event WHERE seq < :seq ORDER BY seq DESC LIMIT 1;

-- event_bounds --
-- The lowest and the highest number in the log.
SELECT COALESCE(MIN(seq), 0) AS lowest, COALESCE(MAX(seq), 0) AS highest FROM fun_ai_deploy_event;
