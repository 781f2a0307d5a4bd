CREATE TABLE IF NOT EXISTS fun_ai_deploy_release (
    app_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    image TEXT NOT NULL,
    image_digest TEXT NULL,
    commit_sha TEXT NULL,
    config_hash TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    node_id INTEGER NULL,
    pinned INTEGER NOT NULL,
    held_until INTEGER NOT NULL,
    image_removed_at INTEGER NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (app_id, number)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_release_job_id ON fun_ai_deploy_release (job_id);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_image_review (
    app_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NULL,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_image_review_not_before
    ON fun_ai_deploy_image_review (not_before, app_id);
