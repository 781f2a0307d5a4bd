-- Which database server has the history, and since which promotion.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_history (
    id INT NOT NULL,
    epoch BIGINT NOT NULL,
    server VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    raised_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
