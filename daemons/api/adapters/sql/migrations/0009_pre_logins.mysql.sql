-- Wrong passwords, by what a name was (SHA-256, whether an account has it or not): until when they are owed. Counted here
-- and not by each process, so that guessing at several processes of the API is no quicker. Times are those of this database.
CREATE TABLE fun_ai_login_failure (
    name_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    owed_until BIGINT NOT NULL,
    KEY fun_ai_login_failure_owed_until (owed_until)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Who somebody is at a provider of logins. The key is the SHA-256 of issuer and subject: both are compared to the letter.
CREATE TABLE fun_ai_identity (
    identity_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    issuer VARCHAR(255) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    create_time BIGINT NOT NULL,
    KEY fun_ai_identity_user (user_id),
    FOREIGN KEY (user_id) REFERENCES fun_ai_user (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Logins that a provider was asked for, until its answer comes or is too late. An answer takes its row: it counts once.
CREATE TABLE fun_ai_identity_attempt (
    state_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    browser_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    nonce VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    verifier VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expire_time BIGINT NOT NULL,
    KEY fun_ai_identity_attempt_expire_time (expire_time)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
