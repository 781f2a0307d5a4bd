-- Parts of logs that were closed before all of their bytes came, by who held the attempt; a runner may bring the rest.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_part (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    holder CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt INT NOT NULL,
    received BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    gap INT NOT NULL,
    whole INT NOT NULL,
    closed_at BIGINT NOT NULL,
    PRIMARY KEY (job_id, holder)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
