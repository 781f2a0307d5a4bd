-- Which process holds a job and who handed it back; how runners see themselves.

ALTER TABLE fun_ai_deploy_job ADD COLUMN holders_json TEXT NULL;
ALTER TABLE fun_ai_deploy_runner ADD COLUMN vitals_json TEXT NULL;
