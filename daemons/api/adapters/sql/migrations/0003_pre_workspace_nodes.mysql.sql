-- Workspace nodes as they report themselves; times are epoch milliseconds of this database.
CREATE TABLE fun_ai_workspace_node (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    nginx_base_url VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    api_base_url VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    enabled TINYINT NOT NULL DEFAULT 1,
    weight INT NOT NULL DEFAULT 100,
    last_heartbeat_at BIGINT,
    interval_seconds INT,
    containers_running INT,
    containers_frozen INT,
    containers_stopped INT,
    disk_free_bytes BIGINT,
    disk_total_bytes BIGINT,
    quota VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
    version VARCHAR(256),
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_workspace_node_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Where each user's workspace lives. The epoch rises whenever that changes.
CREATE TABLE fun_ai_workspace_placement (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 1,
    last_active_at BIGINT NOT NULL DEFAULT 0,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    UNIQUE KEY fun_ai_workspace_placement_user (user_id),
    KEY fun_ai_workspace_placement_node (node_id, update_time, user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
