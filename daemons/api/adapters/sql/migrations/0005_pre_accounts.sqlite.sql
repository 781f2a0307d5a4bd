-- Who may log in. Names are kept in small letters; a hash says how it was made. Times are those of this database.
CREATE TABLE fun_ai_account (
    user_id BIGINT NOT NULL PRIMARY KEY REFERENCES fun_ai_user (id),
    login_name VARCHAR(64) NOT NULL UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    enabled TINYINT NOT NULL DEFAULT 1,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Who is logged in, once for each device.
CREATE TABLE fun_ai_session (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    create_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_session_user ON fun_ai_session (user_id);
CREATE INDEX fun_ai_session_expire_time ON fun_ai_session (expire_time);

-- The refresh tokens of a session, as SHA-256: the newest is unspent, and whoever shows a spent one ends the session.
CREATE TABLE fun_ai_refresh_token (
    token_hash CHAR(64) NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) NOT NULL,
    expire_time BIGINT NOT NULL,
    spent_time BIGINT,
    create_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_refresh_token_session ON fun_ai_refresh_token (session_id);

-- Keys of people's programs, as SHA-256.
CREATE TABLE fun_ai_api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL,
    title VARCHAR(255) NOT NULL,
    user_type INT NOT NULL,
    key_hash CHAR(64) NOT NULL UNIQUE,
    expire_time BIGINT,
    create_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_api_key_user ON fun_ai_api_key (user_id);
