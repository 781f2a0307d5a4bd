CREATE TABLE fun_ai_user (
    id BIGINT NOT NULL PRIMARY KEY,
    user_name VARCHAR(64) NOT NULL,
    user_type INT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Names compare byte by byte, as in SQLite. The first app is 20001.
CREATE TABLE fun_ai_app (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    app_name VARCHAR(255) COLLATE utf8mb4_bin NOT NULL,
    app_description VARCHAR(255),
    app_type VARCHAR(64),
    create_key VARCHAR(128) COLLATE utf8mb4_bin,
    live_since BIGINT,
    stopped_job VARCHAR(64),
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_app_name (user_id, app_name),
    UNIQUE KEY fun_ai_app_create_key (user_id, create_key),
    FOREIGN KEY (user_id) REFERENCES fun_ai_user (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 AUTO_INCREMENT=20001;

CREATE TABLE fun_ai_user_git_key (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    title VARCHAR(255) NOT NULL,
    public_key VARCHAR(12000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    create_time BIGINT NOT NULL,
    FOREIGN KEY (user_id) REFERENCES fun_ai_user (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
