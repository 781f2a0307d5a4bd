CREATE TABLE IF NOT EXISTS fun_ai_deploy_operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    node_id INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    sequel TEXT NOT NULL,
    cause TEXT NOT NULL,
    actor TEXT NOT NULL,
    source_address TEXT NULL,
    state TEXT NOT NULL,
    reason TEXT NULL,
    last_error TEXT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    holder TEXT NULL,
    lease_until INTEGER NULL,
    finished_at INTEGER NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_operation_state_not_before
    ON fun_ai_deploy_operation (state, not_before, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_operation_app_id ON fun_ai_deploy_operation (app_id, state);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_operation_node_id
    ON fun_ai_deploy_operation (node_id, state, reason);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_operation_finished_at ON fun_ai_deploy_operation (finished_at);
