-- Nodes say what they may still do with their disk, and how they see themselves.

ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN disk_level TEXT NULL;
ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN disk_words TEXT NULL;
ALTER TABLE fun_ai_deploy_runtime_node ADD COLUMN vitals_json TEXT NULL;
