-- What a job's attempts did, stage by stage: a next attempt goes on from what was pushed.

ALTER TABLE fun_ai_deploy_job ADD COLUMN stages_json TEXT NULL;
