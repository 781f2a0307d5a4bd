-- Who may log in. Names are kept in small letters; a hash says how it was made. Times are those of this database.
CREATE TABLE fun_ai_account (
    user_id BIGINT NOT NULL PRIMARY KEY,
    login_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    enabled TINYINT NOT NULL DEFAULT 1,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_account_login_name (login_name),
    FOREIGN KEY (user_id) REFERENCES fun_ai_user (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Who is logged in, once for each device.
CREATE TABLE fun_ai_session (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    KEY fun_ai_session_user (user_id),
    KEY fun_ai_session_expire_time (expire_time)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The refresh tokens of a session, as SHA-256: the newest is unspent, and whoever shows a spent one ends the session.
CREATE TABLE fun_ai_refresh_token (
    token_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expire_time BIGINT NOT NULL,
    spent_time BIGINT,
    create_time BIGINT NOT NULL,
    KEY fun_ai_refresh_token_session (session_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Keys of people's programs, as SHA-256.
CREATE TABLE fun_ai_api_key (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    title VARCHAR(255) NOT NULL,
    user_type INT NOT NULL,
    key_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expire_time BIGINT,
    create_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_api_key_hash (key_hash),
    KEY fun_ai_api_key_user (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
