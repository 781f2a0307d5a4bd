-- Apps that their owners deleted, until nothing is left of them and for a while after. `next_at` is when the next attempt
-- is due, or how long the one that goes on is held; none: it is done.
CREATE TABLE fun_ai_app_deletion (
    app_id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    app_name VARCHAR(255) NOT NULL,
    asked_at BIGINT NOT NULL,
    settled_at BIGINT NOT NULL,
    parts_left VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempts INT NOT NULL,
    problem TEXT,
    next_at BIGINT,
    done_at BIGINT,
    KEY fun_ai_app_deletion_next_at (next_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
