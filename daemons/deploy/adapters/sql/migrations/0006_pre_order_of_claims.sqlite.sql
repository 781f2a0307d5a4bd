-- Jobs have a priority, required labels and a place among those of their user; claims can be repeated; runners say what
-- they offer, and apps remember who built them.

ALTER TABLE fun_ai_deploy_job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fun_ai_deploy_job ADD COLUMN requires_csv TEXT NOT NULL DEFAULT '';
ALTER TABLE fun_ai_deploy_job ADD COLUMN queue_rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fun_ai_deploy_job ADD COLUMN claim_key TEXT NULL;
UPDATE fun_ai_deploy_job SET queue_rank = create_time WHERE status IN ('PENDING', 'RUNNING');
ALTER TABLE fun_ai_deploy_app_run ADD COLUMN built_by TEXT NULL;
ALTER TABLE fun_ai_deploy_runner ADD COLUMN labels_csv TEXT NULL;

CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_rank ON fun_ai_deploy_job (status, queue_rank, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_user_rank
    ON fun_ai_deploy_job (status, user_id, queue_rank, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_runner ON fun_ai_deploy_job (status, runner_id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_user_started ON fun_ai_deploy_job (user_id, started_at);
