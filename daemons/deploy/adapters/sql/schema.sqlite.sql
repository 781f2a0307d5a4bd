-- The control plane's tables on SQLite, as they are after all migrations; what they mean is said in schema.mysql.sql.
-- Every time is in epoch milliseconds, UTC, by the database's clock.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_app (
    app_id TEXT NOT NULL PRIMARY KEY,
    fence INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_job (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fence INTEGER NULL,
    runner_id TEXT NULL,
    lease_token TEXT NULL,
    lease_expire_at INTEGER NULL,
    not_before INTEGER NOT NULL,
    started_at INTEGER NULL,
    confirmed_at INTEGER NULL,
    finished_at INTEGER NULL,
    phase TEXT NULL,
    phase_message TEXT NULL,
    error_message TEXT NULL,
    reason TEXT NULL,
    image TEXT NULL,
    image_digest TEXT NULL,
    commit_sha TEXT NULL,
    log_length INTEGER NOT NULL,
    log_expected INTEGER NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    version INTEGER NOT NULL,
    running_app TEXT GENERATED ALWAYS AS (CASE WHEN status = 'RUNNING' THEN app_id END) STORED,
    pending_app TEXT GENERATED ALWAYS AS (CASE WHEN status = 'PENDING' THEN app_id END) STORED,
    superseded_by TEXT NULL,
    retry_of TEXT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    requires_csv TEXT NOT NULL DEFAULT '',
    queue_rank INTEGER NOT NULL DEFAULT 0,
    claim_key TEXT NULL,
    log_gaps INTEGER NOT NULL DEFAULT 0,
    log_removed TEXT NULL,
    log_removed_at INTEGER NULL,
    log_followed_until INTEGER NOT NULL DEFAULT 0,
    stages_json TEXT NULL,
    holders_json TEXT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_job_running_app ON fun_ai_deploy_job (running_app);
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_job_pending_app ON fun_ai_deploy_job (pending_app);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_create_time ON fun_ai_deploy_job (status, create_time, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_lease ON fun_ai_deploy_job (status, lease_expire_at, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_started ON fun_ai_deploy_job (status, started_at, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_app_id_create_time ON fun_ai_deploy_job (app_id, create_time, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_create_time ON fun_ai_deploy_job (create_time, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_rank ON fun_ai_deploy_job (status, queue_rank, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_user_rank
    ON fun_ai_deploy_job (status, user_id, queue_rank, id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_status_runner ON fun_ai_deploy_job (status, runner_id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_user_started ON fun_ai_deploy_job (user_id, started_at);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_job_user_create_time ON fun_ai_deploy_job (user_id, create_time, id);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_job_log (
    job_id TEXT NOT NULL,
    start_offset INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_runtime_node (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    agent_base_url TEXT NULL,
    gateway_base_url TEXT NULL,
    enabled INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    last_heartbeat_at INTEGER NULL,
    disk_free_pct REAL NULL,
    disk_free_bytes INTEGER NULL,
    disk_total_bytes INTEGER NULL,
    inodes_free_pct REAL NULL,
    container_count INTEGER NULL,
    interval_seconds REAL NULL,
    agent_version TEXT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    inodes_total INTEGER NULL,
    inodes_free INTEGER NULL,
    labels_csv TEXT NOT NULL DEFAULT '',
    disk_level TEXT NULL,
    disk_words TEXT NULL,
    vitals_json TEXT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS uk_fun_ai_deploy_runtime_node_name ON fun_ai_deploy_runtime_node (name);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_runtime_placement (
    app_id TEXT NOT NULL PRIMARY KEY,
    node_id INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    placed_at INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    reasons_json TEXT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_runtime_placement_node_id
    ON fun_ai_deploy_runtime_placement (node_id, app_id);
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_runtime_placement_placed_at
    ON fun_ai_deploy_runtime_placement (placed_at, node_id);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_app_run (
    app_id TEXT NOT NULL PRIMARY KEY,
    node_id INTEGER NULL,
    last_job_id TEXT NULL,
    last_job_status TEXT NULL,
    last_error TEXT NULL,
    last_deployed_at INTEGER NULL,
    last_active_at INTEGER NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    built_by TEXT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_runner (
    id TEXT NOT NULL PRIMARY KEY,
    last_seen_at INTEGER NOT NULL,
    slots INTEGER NULL,
    runner_version TEXT NULL,
    host TEXT NULL,
    labels_csv TEXT NULL,
    vitals_json TEXT NULL,
    drained_at INTEGER NULL,
    drained_by TEXT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_runner_last_seen_at ON fun_ai_deploy_runner (last_seen_at);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    create_time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    body_json TEXT NOT NULL,
    source_address TEXT NULL,
    before_json TEXT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_event_create_time ON fun_ai_deploy_event (create_time, seq);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_idempotency (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    job_id TEXT NOT NULL,
    expire_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, user_id, caller, idempotency_key)
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_idempotency_expire_at ON fun_ai_deploy_idempotency (expire_at);

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

CREATE TABLE IF NOT EXISTS fun_ai_deploy_singleton (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    held_since INTEGER NOT NULL,
    lease_expire_at INTEGER NOT NULL
) STRICT;

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

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log (
    job_id TEXT NOT NULL PRIMARY KEY,
    stored_bytes INTEGER NOT NULL,
    ended_at INTEGER NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idx_fun_ai_deploy_log_ended_at ON fun_ai_deploy_log (ended_at, job_id, stored_bytes);

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_segment (
    job_id TEXT NOT NULL,
    start_offset INTEGER NOT NULL,
    packed INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_part (
    job_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    received INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    closed_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, holder)
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_node_tombstone (
    name TEXT NOT NULL PRIMARY KEY,
    node_id INTEGER NOT NULL,
    actor TEXT NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS fun_ai_deploy_history (
    id INTEGER NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    raised_at INTEGER NOT NULL
) STRICT;

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
