-- The jobs of one user are listed a page at a time.

CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_user_create_time ON fun_ai_deploy_job (user_id, create_time, id);
