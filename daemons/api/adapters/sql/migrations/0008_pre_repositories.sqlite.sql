-- Whether each app's repository is set up, when that is tried next (none: it is), until when somebody is at it, and whether
-- it has its first files. What is there already is looked at once more, and gets none.
ALTER TABLE fun_ai_app ADD COLUMN repo_status VARCHAR(16) NOT NULL DEFAULT 'PENDING';
ALTER TABLE fun_ai_app ADD COLUMN repo_reason TEXT;
ALTER TABLE fun_ai_app ADD COLUMN repo_attempts INT NOT NULL DEFAULT 0;
ALTER TABLE fun_ai_app ADD COLUMN repo_next_at BIGINT DEFAULT 0;
ALTER TABLE fun_ai_app ADD COLUMN repo_held_until BIGINT;
ALTER TABLE fun_ai_app ADD COLUMN repo_begun INT NOT NULL DEFAULT 0;
UPDATE fun_ai_app SET repo_begun = 1;
CREATE INDEX fun_ai_app_repo_next_at ON fun_ai_app (repo_next_at);

-- Until when somebody may still be at the repository of an app that was deleted meanwhile.
ALTER TABLE fun_ai_app_deletion ADD COLUMN repo_held_until BIGINT;

-- Which pushes of an app are deployed, and what became of the newest one; `next_at` is none once that is settled.
CREATE TABLE fun_ai_app_push (
    app_id BIGINT NOT NULL PRIMARY KEY,
    enabled INT NOT NULL,
    branches VARCHAR(4096) NOT NULL,
    delivery VARCHAR(64) NULL,
    branch VARCHAR(255),
    commit_id VARCHAR(64) NULL,
    received_at BIGINT,
    attempts INT NOT NULL DEFAULT 0,
    problem TEXT,
    job_id VARCHAR(64) NULL,
    next_at BIGINT,
    held_until BIGINT
);
CREATE INDEX fun_ai_app_push_next_at ON fun_ai_app_push (next_at);

-- Which deliveries of pushes were taken.
CREATE TABLE fun_ai_git_delivery (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    create_time BIGINT NOT NULL
);
CREATE INDEX fun_ai_git_delivery_create_time ON fun_ai_git_delivery (create_time);
