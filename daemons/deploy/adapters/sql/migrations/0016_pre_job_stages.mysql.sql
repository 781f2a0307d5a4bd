-- What a job's attempts did, stage by stage: a next attempt goes on from what was pushed.
-- The statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job' AND column_name = 'stages_json'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job ADD COLUMN stages_json TEXT NULL', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;
