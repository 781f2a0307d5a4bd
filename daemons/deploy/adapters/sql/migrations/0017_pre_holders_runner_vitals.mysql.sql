-- Which process holds a job and who handed it back; how runners see themselves.
-- The statements may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job' AND column_name = 'holders_json'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job ADD COLUMN holders_json TEXT NULL', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runner' AND column_name = 'vitals_json'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runner ADD COLUMN vitals_json TEXT NULL', 'DO 0');
PREPARE change_runner FROM @change;
EXECUTE change_runner;
DEALLOCATE PREPARE change_runner;
