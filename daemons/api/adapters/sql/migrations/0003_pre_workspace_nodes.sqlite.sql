-- Workspace nodes as they report themselves; times are epoch milliseconds of this database.
CREATE TABLE fun_ai_workspace_node (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(128) NOT NULL UNIQUE,
    nginx_base_url VARCHAR(512) NOT NULL,
    api_base_url VARCHAR(512) NOT NULL,
    enabled TINYINT NOT NULL DEFAULT 1,
    weight INT NOT NULL DEFAULT 100,
    last_heartbeat_at BIGINT,
    interval_seconds INT,
    containers_running INT,
    containers_frozen INT,
    containers_stopped INT,
    disk_free_bytes BIGINT,
    disk_total_bytes BIGINT,
    quota VARCHAR(16),
    version VARCHAR(256),
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Where each user's workspace lives. The epoch rises whenever that changes.
CREATE TABLE fun_ai_workspace_placement (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL UNIQUE,
    node_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 1,
    last_active_at BIGINT NOT NULL DEFAULT 0,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_workspace_placement_node ON fun_ai_workspace_placement (node_id, update_time, user_id);
