-- Names of nodes that operators deleted: their agents are refused until an operator registers the node again.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_node_tombstone (
    name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    node_id BIGINT NOT NULL,
    actor VARCHAR(256) NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
