-- Results of jobs that are delivered to the webhook. not_before is null while an earlier one of the app is not ended;
-- since is when its 24 hours began.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_webhook (
    id BIGINT NOT NULL AUTO_INCREMENT,
    delivery_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body MEDIUMTEXT NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempts INT NOT NULL,
    last_status INT NULL,
    last_error VARCHAR(500) NULL,
    not_before BIGINT NULL,
    since BIGINT NOT NULL,
    finished_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_webhook_delivery_key (delivery_key),
    KEY idx_fun_ai_deploy_webhook_state_not_before (state, not_before, id),
    KEY idx_fun_ai_deploy_webhook_state_id (state, id),
    KEY idx_fun_ai_deploy_webhook_app_id (app_id, state, id),
    KEY idx_fun_ai_deploy_webhook_finished_at (finished_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
