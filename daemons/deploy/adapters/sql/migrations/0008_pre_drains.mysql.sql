-- Plans that move the apps of a node elsewhere. live_node holds the rule that a node has one plan that is not over.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain (
    id BIGINT NOT NULL AUTO_INCREMENT,
    node_id BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    max_parallel INT NOT NULL,
    is_partial INT NOT NULL,
    was_enabled INT NOT NULL,
    actor VARCHAR(256) NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    finish_time BIGINT NULL,
    version BIGINT NOT NULL,
    live_node BIGINT GENERATED ALWAYS AS (CASE WHEN finish_time IS NULL THEN node_id END) STORED,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_drain_live_node (live_node),
    KEY idx_fun_ai_deploy_drain_node_id (node_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- The apps of a plan. tried are the numbers of the nodes where the move failed, joined by commas.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain_move (
    drain_id BIGINT NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    target_node_id BIGINT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    attempts INT NOT NULL,
    tried VARCHAR(256) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    message MEDIUMTEXT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (drain_id, app_id),
    KEY idx_fun_ai_deploy_drain_move_state (drain_id, state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
