-- The event log says where a change came from, and what was there before.
-- Each statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_event' AND column_name = 'before_json'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_event
    ADD COLUMN source_address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN before_json MEDIUMTEXT NULL', 'DO 0');
PREPARE change_event FROM @change;
EXECUTE change_event;
DEALLOCATE PREPARE change_event;
