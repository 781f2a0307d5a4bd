-- Releases: one row per success of an app, numbered from 1. held_until keeps an image while a job that needs it is made.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_release (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number INT NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    image VARCHAR(512) NOT NULL,
    image_digest VARCHAR(256) NULL,
    commit_sha VARCHAR(256) NULL,
    config_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_json MEDIUMTEXT NOT NULL,
    node_id BIGINT NULL,
    pinned INT NOT NULL,
    held_until BIGINT NOT NULL,
    image_removed_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (app_id, number),
    UNIQUE KEY uk_fun_ai_deploy_release_job_id (job_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Apps whose images in the registry are to be reviewed, until nothing is left to remove. user_id is set when the app was
-- deleted and its whole repository may go.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_image_review (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    not_before BIGINT NOT NULL,
    attempts INT NOT NULL,
    last_error MEDIUMTEXT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (app_id),
    KEY idx_fun_ai_deploy_image_review_not_before (not_before, app_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
