-- Logs in segments of bytes, what each takes, and why one was removed. Logs of before stay where they are and are read there.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log (
    job_id TEXT NOT NULL PRIMARY KEY,
    stored_bytes INTEGER NOT NULL,
    ended_at INTEGER NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_log_ended_at ON fun_ai_deploy_log (ended_at, job_id, stored_bytes);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_segment (
    job_id TEXT NOT NULL,
    start_offset INTEGER NOT NULL,
    packed INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) STRICT;

INSERT OR IGNORE INTO fun_ai_deploy_log (job_id, stored_bytes, ended_at)
SELECT job_id, SUM(LENGTH(content)), NULL FROM fun_ai_deploy_job_log GROUP BY job_id;

ALTER TABLE fun_ai_deploy_job ADD COLUMN log_gaps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fun_ai_deploy_job ADD COLUMN log_removed TEXT NULL;
ALTER TABLE fun_ai_deploy_job ADD COLUMN log_removed_at INTEGER NULL;
ALTER TABLE fun_ai_deploy_job ADD COLUMN log_followed_until INTEGER NOT NULL DEFAULT 0;
