-- Hosts of apps' own. Anybody may say that a host is theirs; it is one app's, `verified_host`, once that was proven.
CREATE TABLE fun_ai_app_domain (
    host VARCHAR(253) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id BIGINT NOT NULL,
    proof VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    verified_host VARCHAR(253) CHARACTER SET ascii COLLATE ascii_bin,
    verified_at BIGINT,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (host, app_id),
    UNIQUE KEY fun_ai_app_domain_verified (verified_host),
    KEY fun_ai_app_domain_app (app_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
