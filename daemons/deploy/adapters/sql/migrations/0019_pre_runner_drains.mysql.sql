-- Runners that an operator lets take no more work.
-- The statements may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runner' AND column_name = 'drained_at'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runner ADD COLUMN drained_at BIGINT NULL', 'DO 0');
PREPARE change_at FROM @change;
EXECUTE change_at;
DEALLOCATE PREPARE change_at;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runner' AND column_name = 'drained_by'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runner ADD COLUMN drained_by VARCHAR(64) NULL', 'DO 0');
PREPARE change_by FROM @change;
EXECUTE change_by;
DEALLOCATE PREPARE change_by;
