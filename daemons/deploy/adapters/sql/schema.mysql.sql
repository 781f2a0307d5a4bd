-- The control plane's tables on MariaDB and MySQL, as they are after all migrations.
-- Every time is in epoch milliseconds, UTC, by the database's clock. Ids are ASCII and compared byte by byte.

-- One row per app: what serialises the creation of its jobs, and its fence, which rises with every claim.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_app (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fence BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Jobs. The two generated columns and their unique indexes hold the rule: one RUNNING and one PENDING job per app.
-- queue_rank is create_time less what the priority is worth: the order of the pending jobs of one user.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_job (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_json MEDIUMTEXT NOT NULL,
    attempt INT NOT NULL,
    fence BIGINT NULL,
    runner_id VARCHAR(128) NULL,
    lease_token VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    lease_expire_at BIGINT NULL,
    not_before BIGINT NOT NULL,
    started_at BIGINT NULL,
    confirmed_at BIGINT NULL,
    finished_at BIGINT NULL,
    phase VARCHAR(256) NULL,
    phase_message MEDIUMTEXT NULL,
    error_message MEDIUMTEXT NULL,
    reason VARCHAR(64) NULL,
    image VARCHAR(512) NULL,
    image_digest VARCHAR(256) NULL,
    commit_sha VARCHAR(256) NULL,
    log_length BIGINT NOT NULL,
    log_expected BIGINT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    version BIGINT NOT NULL,
    running_app VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
        GENERATED ALWAYS AS (CASE WHEN status = 'RUNNING' THEN app_id END) STORED,
    pending_app VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin
        GENERATED ALWAYS AS (CASE WHEN status = 'PENDING' THEN app_id END) STORED,
    superseded_by VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    retry_of VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    priority INT NOT NULL DEFAULT 0,
    requires_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    queue_rank BIGINT NOT NULL DEFAULT 0,
    claim_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    log_gaps INT NOT NULL DEFAULT 0,
    log_removed VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    log_removed_at BIGINT NULL,
    log_followed_until BIGINT NOT NULL DEFAULT 0,
    stages_json TEXT NULL,
    holders_json TEXT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_job_running_app (running_app),
    UNIQUE KEY uk_fun_ai_deploy_job_pending_app (pending_app),
    KEY idx_fun_ai_deploy_job_status_create_time (status, create_time, id),
    KEY idx_fun_ai_deploy_job_status_lease (status, lease_expire_at, id),
    KEY idx_fun_ai_deploy_job_status_started (status, started_at, id),
    KEY idx_fun_ai_deploy_job_app_id_create_time (app_id, create_time, id),
    KEY idx_fun_ai_deploy_job_create_time (create_time, id),
    KEY idx_fun_ai_deploy_job_status_rank (status, queue_rank, id),
    KEY idx_fun_ai_deploy_job_status_user_rank (status, user_id, queue_rank, id),
    KEY idx_fun_ai_deploy_job_status_runner (status, runner_id),
    KEY idx_fun_ai_deploy_job_user_started (user_id, started_at),
    KEY idx_fun_ai_deploy_job_user_create_time (user_id, create_time, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- A job's log as the first releases wrote it: consecutive byte ranges, compressed, as base64 text. It is only read.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_job_log (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    start_offset BIGINT NOT NULL,
    content MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Machines that run apps, with the figures of their last heartbeat. labels_csv is joined by commas.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_runtime_node (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    agent_base_url VARCHAR(512) NULL,
    gateway_base_url VARCHAR(512) NULL,
    enabled INT NOT NULL,
    weight INT NOT NULL,
    last_heartbeat_at BIGINT NULL,
    disk_free_pct DOUBLE NULL,
    disk_free_bytes BIGINT NULL,
    disk_total_bytes BIGINT NULL,
    inodes_free_pct DOUBLE NULL,
    container_count INT NULL,
    interval_seconds DOUBLE NULL,
    agent_version VARCHAR(256) NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    inodes_total BIGINT NULL,
    inodes_free BIGINT NULL,
    labels_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    disk_level VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    disk_words VARCHAR(256) NULL,
    vitals_json TEXT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_runtime_node_name (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Which node an app lives on; placed_at is when it came to that node, reasons_json why (and of which node it says so).
CREATE TABLE IF NOT EXISTS fun_ai_deploy_runtime_placement (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    node_id BIGINT NOT NULL,
    last_active_at BIGINT NOT NULL,
    placed_at BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    reasons_json TEXT NULL,
    PRIMARY KEY (app_id),
    KEY idx_fun_ai_deploy_runtime_placement_node_id (node_id, app_id),
    KEY idx_fun_ai_deploy_runtime_placement_placed_at (placed_at, node_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- The last known state of an app.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_app_run (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    node_id BIGINT NULL,
    last_job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    last_job_status VARCHAR(32) NULL,
    last_error MEDIUMTEXT NULL,
    last_deployed_at BIGINT NULL,
    last_active_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    built_by VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (app_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Runners as last heard of.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_runner (
    id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    last_seen_at BIGINT NOT NULL,
    slots INT NULL,
    runner_version VARCHAR(256) NULL,
    host VARCHAR(256) NULL,
    labels_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NULL,
    vitals_json TEXT NULL,
    drained_at BIGINT NULL,
    drained_by VARCHAR(64) NULL,
    PRIMARY KEY (id),
    KEY idx_fun_ai_deploy_runner_last_seen_at (last_seen_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- What changed, when, by whom. Append-only. Numbers are given out before the commit: a lower one may appear later.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_event (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    create_time BIGINT NOT NULL,
    kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    action VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject VARCHAR(128) NOT NULL,
    actor VARCHAR(256) NOT NULL,
    body_json MEDIUMTEXT NOT NULL,
    source_address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    before_json MEDIUMTEXT NULL,
    PRIMARY KEY (seq),
    KEY idx_fun_ai_deploy_event_create_time (create_time, seq)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Which job a request with an Idempotency-Key made; kept for a day.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_idempotency (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    caller VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expire_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, user_id, caller, idempotency_key),
    KEY idx_fun_ai_deploy_idempotency_expire_at (expire_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Releases: one row per success of an app, numbered from 1. held_until keeps an image while a job that needs it is made.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_release (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number INT NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    image VARCHAR(512) NOT NULL,
    image_digest VARCHAR(256) NULL,
    commit_sha VARCHAR(256) NULL,
    config_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_json MEDIUMTEXT NOT NULL,
    node_id BIGINT NULL,
    pinned INT NOT NULL,
    held_until BIGINT NOT NULL,
    image_removed_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (app_id, number),
    UNIQUE KEY uk_fun_ai_deploy_release_job_id (job_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Apps whose images in the registry are to be reviewed, until nothing is left to remove. user_id is set when the app was
-- deleted and its whole repository may go.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_image_review (
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    not_before BIGINT NOT NULL,
    attempts INT NOT NULL,
    last_error MEDIUMTEXT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (app_id),
    KEY idx_fun_ai_deploy_image_review_not_before (not_before, app_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Who does the work that only one replica does, until when. The epoch rises with every takeover.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_singleton (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    holder VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch BIGINT NOT NULL,
    held_since BIGINT NOT NULL,
    lease_expire_at BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- What nodes have yet to do: stops and deletes of apps, kept until done. holder carries one out until lease_until;
-- sequel is what becomes of the app's records then.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_operation (
    id BIGINT NOT NULL AUTO_INCREMENT,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    node_id BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    sequel VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    cause VARCHAR(128) NOT NULL,
    actor VARCHAR(256) NOT NULL,
    source_address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    last_error MEDIUMTEXT NULL,
    attempts INT NOT NULL,
    not_before BIGINT NOT NULL,
    holder VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    lease_until BIGINT NULL,
    finished_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id),
    KEY idx_fun_ai_deploy_operation_state_not_before (state, not_before, id),
    KEY idx_fun_ai_deploy_operation_app_id (app_id, state),
    KEY idx_fun_ai_deploy_operation_node_id (node_id, state, reason),
    KEY idx_fun_ai_deploy_operation_finished_at (finished_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Plans that move the apps of a node elsewhere. live_node holds the rule that a node has one plan that is not over.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain (
    id BIGINT NOT NULL AUTO_INCREMENT,
    node_id BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    max_parallel INT NOT NULL,
    is_partial INT NOT NULL,
    was_enabled INT NOT NULL,
    actor VARCHAR(256) NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    finish_time BIGINT NULL,
    version BIGINT NOT NULL,
    live_node BIGINT GENERATED ALWAYS AS (CASE WHEN finish_time IS NULL THEN node_id END) STORED,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_drain_live_node (live_node),
    KEY idx_fun_ai_deploy_drain_node_id (node_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- The apps of a plan. tried are the numbers of the nodes where the move failed, joined by commas.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_drain_move (
    drain_id BIGINT NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    target_node_id BIGINT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    attempts INT NOT NULL,
    tried VARCHAR(256) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    message MEDIUMTEXT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (drain_id, app_id),
    KEY idx_fun_ai_deploy_drain_move_state (drain_id, state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- A log is kept in segments of bytes that are compressed once; one row says what it takes and when its job ended.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_log (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stored_bytes BIGINT NOT NULL,
    ended_at BIGINT NULL,
    PRIMARY KEY (job_id),
    KEY idx_fun_ai_deploy_log_ended_at (ended_at, job_id, stored_bytes)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Segments begin at multiples of 256 KiB, but for those of the part that still grows; packed: 1 when compressed by zlib.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_segment (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    start_offset BIGINT NOT NULL,
    packed INT NOT NULL,
    content MEDIUMBLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Parts of logs that were closed before all of their bytes came, by who held the attempt; a runner may bring the rest.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_part (
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    holder CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt INT NOT NULL,
    received BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    gap INT NOT NULL,
    whole INT NOT NULL,
    closed_at BIGINT NOT NULL,
    PRIMARY KEY (job_id, holder)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Names of nodes that operators deleted: their agents are refused until an operator registers the node again.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_node_tombstone (
    name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    node_id BIGINT NOT NULL,
    actor VARCHAR(256) NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- The one row that names the database server which has the history. A promotion raises the epoch.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_history (
    id INT NOT NULL,
    epoch BIGINT NOT NULL,
    server VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    raised_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Results of jobs that are delivered to the webhook. not_before is null while an earlier one of the app is not ended;
-- since is when its 24 hours began.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_webhook (
    id BIGINT NOT NULL AUTO_INCREMENT,
    delivery_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body MEDIUMTEXT NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempts INT NOT NULL,
    last_status INT NULL,
    last_error VARCHAR(500) NULL,
    not_before BIGINT NULL,
    since BIGINT NOT NULL,
    finished_at BIGINT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_fun_ai_deploy_webhook_delivery_key (delivery_key),
    KEY idx_fun_ai_deploy_webhook_state_not_before (state, not_before, id),
    KEY idx_fun_ai_deploy_webhook_state_id (state, id),
    KEY idx_fun_ai_deploy_webhook_app_id (app_id, state, id),
    KEY idx_fun_ai_deploy_webhook_finished_at (finished_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
