-- Statements of claims.sql that SQLite says in its own way.

-- standings --
-- The next users that have PENDING jobs, by id, and how each stands in the line; each is found through the index.
WITH RECURSIVE line (user_id, place) AS (
    SELECT (
        SELECT j.user_id FROM fun_ai_deploy_job j INDEXED BY idx_fun_ai_deploy_job_status_user_rank
        WHERE j.status = 'PENDING' AND j.user_id > :after ORDER BY j.user_id LIMIT 1
    ), 1
    UNION ALL
    SELECT (
        SELECT j.user_id FROM fun_ai_deploy_job j INDEXED BY idx_fun_ai_deploy_job_status_user_rank
        WHERE j.status = 'PENDING' AND j.user_id > line.user_id ORDER BY j.user_id LIMIT 1
    ), place + 1
    FROM line WHERE line.user_id IS NOT NULL AND place < :limit
)
SELECT l.user_id,
    (SELECT h.queue_rank FROM fun_ai_deploy_job h INDEXED BY idx_fun_ai_deploy_job_status_user_rank
        WHERE h.status = 'PENDING' AND h.user_id = l.user_id ORDER BY h.queue_rank, h.id LIMIT 1) AS queue_rank,
    (SELECT h.priority FROM fun_ai_deploy_job h INDEXED BY idx_fun_ai_deploy_job_status_user_rank
        WHERE h.status = 'PENDING' AND h.user_id = l.user_id ORDER BY h.queue_rank, h.id LIMIT 1) AS priority,
    (SELECT COUNT(*) FROM fun_ai_deploy_job r INDEXED BY idx_fun_ai_deploy_job_status_user_rank
        WHERE r.status = 'RUNNING' AND r.user_id = l.user_id) AS running,
    (SELECT s.started_at FROM fun_ai_deploy_job s INDEXED BY idx_fun_ai_deploy_job_user_started
        WHERE s.user_id = l.user_id ORDER BY s.started_at DESC LIMIT 1) AS served_at
FROM line l WHERE l.user_id IS NOT NULL;
