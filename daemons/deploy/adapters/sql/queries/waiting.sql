-- Why pending jobs wait.

-- oldest_pending --
-- The jobs that have been pending longest.
SELECT * FROM fun_ai_deploy_job WHERE status = 'PENDING' ORDER BY create_time, id LIMIT :limit;

-- newest_pending --
-- The jobs that became pending last.
SELECT * FROM fun_ai_deploy_job WHERE status = 'PENDING' ORDER BY create_time DESC, id DESC LIMIT :limit;

-- pasts_of --
-- What these apps did before.
SELECT app_id, built_by, last_active_at, last_deployed_at FROM fun_ai_deploy_app_run WHERE app_id IN (:app_ids);

-- held_slots --
-- How many jobs each runner carries out.
SELECT runner_id, COUNT(*) AS jobs FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_status_runner) */
WHERE status = 'RUNNING' GROUP BY runner_id;
