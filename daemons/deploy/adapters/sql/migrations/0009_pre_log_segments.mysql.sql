-- Logs in segments of bytes, what each takes, and why one was removed. Logs of before stay where they are and are read there.
-- Each statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stored_bytes BIGINT NOT NULL,
    ended_at BIGINT NULL,
    PRIMARY KEY (job_id),
    KEY idx_fun_ai_deploy_log_ended_at (ended_at, job_id, stored_bytes)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_segment (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    start_offset BIGINT NOT NULL,
    packed INT NOT NULL,
    content MEDIUMBLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT IGNORE INTO fun_ai_deploy_log (job_id, stored_bytes, ended_at)
SELECT job_id, SUM(LENGTH(content)), NULL FROM fun_ai_deploy_job_log GROUP BY job_id;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job' AND column_name = 'log_gaps'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job
    ADD COLUMN log_gaps INT NOT NULL DEFAULT 0,
    ADD COLUMN log_removed VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN log_removed_at BIGINT NULL,
    ADD COLUMN log_followed_until BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;
