-- Jobs name their successor and their predecessor, and a request with an Idempotency-Key is remembered for a day.
-- Each statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job' AND column_name = 'retry_of'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job
    ADD COLUMN superseded_by VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN retry_of VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_idempotency (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    caller VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expire_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, user_id, caller, idempotency_key),
    KEY idx_fun_ai_deploy_idempotency_expire_at (expire_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
