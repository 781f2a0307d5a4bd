-- Results of jobs that are delivered to the webhook.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_key TEXT NOT NULL,
    event TEXT NOT NULL,
    app_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_status INTEGER NULL,
    last_error TEXT NULL,
    not_before INTEGER NULL,
    since INTEGER NOT NULL,
    finished_at INTEGER NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_webhook_delivery_key ON fun_ai_deploy_webhook (delivery_key);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_webhook_state_not_before
    ON fun_ai_deploy_webhook (state, not_before, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_webhook_state_id ON fun_ai_deploy_webhook (state, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_webhook_app_id ON fun_ai_deploy_webhook (app_id, state, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_webhook_finished_at ON fun_ai_deploy_webhook (finished_at);
