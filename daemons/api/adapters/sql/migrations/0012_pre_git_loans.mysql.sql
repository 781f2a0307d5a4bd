-- Keys that were lent to workspaces, each to write to one repository: written down before the git server hears of the key,
-- and until it is sure that the key opens nothing. `settled_at` is until when the order to let it in may still arrive, `next_at`
-- when it is taken back or somebody else may.
CREATE TABLE fun_ai_git_loan (
    fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    app_id BIGINT NOT NULL,
    node VARCHAR(128) NOT NULL,
    repository VARCHAR(255) NOT NULL,
    expires_at BIGINT NOT NULL,
    settled_at BIGINT NOT NULL,
    attempts INT NOT NULL DEFAULT 0,
    problem TEXT,
    next_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE INDEX fun_ai_git_loan_next_at ON fun_ai_git_loan (next_at);
CREATE INDEX fun_ai_git_loan_app_id ON fun_ai_git_loan (app_id);
