-- Plans that move the apps of a node elsewhere, and the apps of each.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    max_parallel INTEGER NOT NULL,
    is_partial INTEGER NOT NULL,
    was_enabled INTEGER NOT NULL,
    actor TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    finish_time INTEGER NULL,
    version INTEGER NOT NULL,
    live_node INTEGER GENERATED ALWAYS AS (CASE WHEN finish_time IS NULL THEN node_id END) STORED
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_drain_live_node ON fun_ai_deploy_drain (live_node);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_drain_node_id ON fun_ai_deploy_drain (node_id, id);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain_move (
    drain_id INTEGER NOT NULL,
    app_id TEXT NOT NULL,
    state TEXT NOT NULL,
    target_node_id INTEGER NULL,
    job_id TEXT NULL,
    attempts INTEGER NOT NULL,
    tried TEXT NOT NULL,
    message TEXT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (drain_id, app_id)
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_drain_move_state ON fun_ai_deploy_drain_move (drain_id, state);
