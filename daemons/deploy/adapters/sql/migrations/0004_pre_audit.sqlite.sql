-- The event log says where a change came from, and what was there before.

ALTER TABLE fun_ai_deploy_event ADD COLUMN source_address TEXT NULL;
ALTER TABLE fun_ai_deploy_event ADD COLUMN before_json TEXT NULL;
