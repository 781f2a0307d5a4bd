CREATE TABLE fun_ai_user (
    id BIGINT NOT NULL PRIMARY KEY,
    user_name VARCHAR(64) NOT NULL,
    user_type INT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

CREATE TABLE fun_ai_app (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL REFERENCES fun_ai_user (id),
    app_name VARCHAR(255) NOT NULL,
    app_description VARCHAR(255),
    app_type VARCHAR(64),
    create_key VARCHAR(128),
    live_since BIGINT,
    stopped_job VARCHAR(64),
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE (user_id, app_name),
    UNIQUE (user_id, create_key)
);

-- The first app is 20001.
INSERT INTO sqlite_sequence (name, seq) VALUES ('fun_ai_app', 20000);

CREATE TABLE fun_ai_user_git_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL REFERENCES fun_ai_user (id),
    title VARCHAR(255) NOT NULL,
    public_key VARCHAR(12000) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL UNIQUE,
    create_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_user_git_key_user ON fun_ai_user_git_key (user_id);
