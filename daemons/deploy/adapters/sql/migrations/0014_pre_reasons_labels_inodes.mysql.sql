-- Placements keep why their app is on that node. Nodes have labels and counts of inodes.
-- Each statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS. Replicas of the previous
-- release move apps without writing reasons, so these name the node that they speak of.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runtime_placement' AND column_name = 'reasons_json'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runtime_placement ADD COLUMN reasons_json TEXT NULL', 'DO 0');
PREPARE change_placement FROM @change;
EXECUTE change_placement;
DEALLOCATE PREPARE change_placement;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runtime_node' AND column_name = 'labels_csv'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runtime_node
    ADD COLUMN inodes_total BIGINT NULL,
    ADD COLUMN inodes_free BIGINT NULL,
    ADD COLUMN labels_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''''', 'DO 0');
PREPARE change_node FROM @change;
EXECUTE change_node;
DEALLOCATE PREPARE change_node;
