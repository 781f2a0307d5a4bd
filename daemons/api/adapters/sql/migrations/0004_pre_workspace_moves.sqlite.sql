-- Whether a node takes no new users.
ALTER TABLE fun_ai_workspace_node ADD COLUMN cordoned TINYINT NOT NULL DEFAULT 0;

-- Moves of workspaces between nodes. `active_user` is the user's id until the move is over: one at a time for each.
CREATE TABLE fun_ai_workspace_move (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL,
    active_user BIGINT UNIQUE,
    source_node_id BIGINT NOT NULL,
    target_node_id BIGINT,
    epoch BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    passes INT NOT NULL DEFAULT 0,
    copied_files BIGINT NOT NULL DEFAULT 0,
    copied_bytes BIGINT NOT NULL DEFAULT 0,
    total_bytes BIGINT NOT NULL DEFAULT 0,
    skipped TEXT NOT NULL,
    cancelled TINYINT NOT NULL DEFAULT 0,
    error TEXT NOT NULL,
    frozen_at BIGINT,
    frozen_ms BIGINT,
    keep_until BIGINT,
    ended_at BIGINT,
    owner VARCHAR(64) NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_workspace_move_state ON fun_ai_workspace_move (state, id);
CREATE INDEX fun_ai_workspace_move_user ON fun_ai_workspace_move (user_id, id);
