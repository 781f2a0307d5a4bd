-- Statements of claims.sql that MariaDB and MySQL say in their own way.

-- standings --
-- The next users that have PENDING jobs, by id, and how each stands in the line. Grouped by status, too: else the server
-- reads every pending job (EXPLAIN must say "Using index for group-by").
SELECT l.user_id, l.queue_rank,
    (SELECT h.priority FROM fun_ai_deploy_job h FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank)
        WHERE h.status = 'PENDING' AND h.user_id = l.user_id AND h.queue_rank = l.queue_rank
        ORDER BY h.id LIMIT 1) AS priority,
    (SELECT COUNT(*) FROM fun_ai_deploy_job r FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank)
        WHERE r.status = 'RUNNING' AND r.user_id = l.user_id) AS running,
    (SELECT s.started_at FROM fun_ai_deploy_job s FORCE INDEX (idx_fun_ai_deploy_job_user_started)
        WHERE s.user_id = l.user_id ORDER BY s.started_at DESC LIMIT 1) AS served_at
FROM (
    SELECT j.status, j.user_id, MIN(j.queue_rank) AS queue_rank
    FROM fun_ai_deploy_job j FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank)
    WHERE j.status = 'PENDING' AND j.user_id > :after
    GROUP BY j.status, j.user_id
    LIMIT :limit
) l;
