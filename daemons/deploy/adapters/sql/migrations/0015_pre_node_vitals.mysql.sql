-- Nodes say what they may still do with their disk, and how they see themselves.
-- The statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runtime_node' AND column_name = 'disk_level'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runtime_node
    ADD COLUMN disk_level VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN disk_words VARCHAR(256) NULL,
    ADD COLUMN vitals_json TEXT NULL', 'DO 0');
PREPARE change_node FROM @change;
EXECUTE change_node;
DEALLOCATE PREPARE change_node;
