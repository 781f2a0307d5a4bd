-- Whether a node takes no new users.
ALTER TABLE fun_ai_workspace_node ADD COLUMN cordoned TINYINT NOT NULL DEFAULT 0;

-- Moves of workspaces between nodes. `active_user` is the user's id until the move is over: one at a time for each.
CREATE TABLE fun_ai_workspace_move (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    active_user BIGINT,
    source_node_id BIGINT NOT NULL,
    target_node_id BIGINT,
    epoch BIGINT NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
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
    owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_workspace_move_active (active_user),
    KEY fun_ai_workspace_move_state (state, id),
    KEY fun_ai_workspace_move_user (user_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
