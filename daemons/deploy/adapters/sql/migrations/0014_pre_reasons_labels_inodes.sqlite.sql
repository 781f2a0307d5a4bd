-- Placements keep why their app is on that node. Nodes have labels and counts of inodes.

ALTER TABLE fun_ai_deploy_runtime_placement ADD COLUMN reasons_json TEXT NULL;
ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN inodes_total INTEGER NULL;
ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN inodes_free INTEGER NULL;
ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN labels_csv TEXT NOT NULL DEFAULT '';
