-- Lists of jobs, newest created first, a page at a time. Each reads one index from the place where the last page ended.

-- list_jobs --
-- Jobs of all.
SELECT * FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_create_time) */
WHERE create_time <= :at AND (create_time < :at OR id < :id)
ORDER BY create_time DESC, id DESC
LIMIT :limit;

-- list_jobs_in_status --
-- Jobs in one state.
SELECT * FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_status_create_time) */
WHERE status = :status AND create_time <= :at AND (create_time < :at OR id < :id)
ORDER BY create_time DESC, id DESC
LIMIT :limit;

-- list_jobs_of_app --
-- Jobs of one app.
SELECT * FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_app_id_create_time) */
WHERE app_id = :app_id AND create_time <= :at AND (create_time < :at OR id < :id)
    AND (:status IS NULL OR status = :status) AND (:user_id IS NULL OR user_id = :user_id)
ORDER BY create_time DESC, id DESC
LIMIT :limit;

-- list_jobs_of_user --
-- Jobs of one user.
SELECT * FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_user_create_time) */
WHERE user_id = :user_id AND create_time <= :at AND (create_time < :at OR id < :id)
    AND (:status IS NULL OR status = :status)
ORDER BY create_time DESC, id DESC
LIMIT :limit;
