-- Who does the work that only one replica does, until when.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_singleton (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    holder VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch BIGINT NOT NULL,
    held_since BIGINT NOT NULL,
    lease_expire_at BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
