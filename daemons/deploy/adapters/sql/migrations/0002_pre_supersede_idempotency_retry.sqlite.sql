-- Jobs name their successor and their predecessor, and a request with an Idempotency-Key is remembered for a day.

ALTER TABLE fun_ai_deploy_job ADD COLUMN superseded_by TEXT NULL;
ALTER TABLE fun_ai_deploy_job ADD COLUMN retry_of TEXT NULL;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_idempotency (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    job_id TEXT NOT NULL,
    expire_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, user_id, caller, idempotency_key)
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_idempotency_expire_at ON fun_ai_deploy_idempotency (expire_at);
