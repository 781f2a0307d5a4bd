-- Runners that an operator lets take no more work.

ALTER TABLE fun_ai_deploy_runner ADD COLUMN drained_at INTEGER NULL;
ALTER TABLE fun_ai_deploy_runner ADD COLUMN drained_by TEXT NULL;
