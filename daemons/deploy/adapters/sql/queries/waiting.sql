-- Why pending jobs wait.

-- oldest_pending --
-- The jobs that have been pending longest.
SELECT * FROM fun_ai_deploy_job WHERE status = 'PENDING' ORDER BY create_time, id LIMIT :limit;

-- newest_pending --
-- The jobs that became pending last.
SELECT * FROM fun_ai_deploy_job WHERE status = 'PENDING' ORDER BY create_time DESC, id DESC LIMIT :limit;

-- settled_apps --
-- Which of these apps came up on a node once.
SELECT app_id FROM fun_ai_deploy_app_run WHERE app_id IN (:app_ids) AND last_deployed_at IS NOT NULL;
