-- Hosts of apps' own. Anybody may say that a host is theirs; it is one app's, `verified_host`, once that was proven.
CREATE TABLE fun_ai_app_domain (
    host VARCHAR(253) NOT NULL,
    app_id BIGINT NOT NULL,
    proof VARCHAR(64) NOT NULL,
    verified_host VARCHAR(253),
    verified_at BIGINT,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (host, app_id)
);

CREATE UNIQUE INDEX fun_ai_app_domain_verified ON fun_ai_app_domain (verified_host);

CREATE INDEX fun_ai_app_domain_app ON fun_ai_app_domain (app_id);
