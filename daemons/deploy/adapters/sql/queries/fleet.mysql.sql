-- Statements of fleet.sql that MariaDB and MySQL say in their own way.

-- put_placement --
-- Place or move an app; assignments run in order, so placed_at still sees the node of before.
INSERT INTO fun_ai_deploy_runtime_placement (app_id, node_id, last_active_at, placed_at, create_time, update_time)
VALUES (:app_id, :node_id, :last_active_at, :last_active_at, :create_time, :last_active_at)
ON DUPLICATE KEY UPDATE
    placed_at = CASE WHEN node_id <> :node_id THEN :last_active_at ELSE placed_at END,
    node_id = :node_id, last_active_at = :last_active_at, update_time = :last_active_at;

-- put_app_run --
-- Write the last known state of an app.
INSERT INTO fun_ai_deploy_app_run (
    app_id, node_id, last_job_id, last_job_status, last_error, last_deployed_at, last_active_at, create_time, update_time
) VALUES (
    :app_id, :node_id, :last_job_id, :last_job_status, :last_error, :last_deployed_at, :last_active_at,
    CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
)
ON DUPLICATE KEY UPDATE
    node_id = :node_id, last_job_id = :last_job_id, last_job_status = :last_job_status, last_error = :last_error,
    last_deployed_at = :last_deployed_at, last_active_at = :last_active_at,
    update_time = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED);

-- touch_runner --
-- A runner was heard of; what it did not say keeps its value.
INSERT INTO fun_ai_deploy_runner (id, last_seen_at, slots, runner_version, host)
VALUES (:id, :last_seen_at, :slots, :runner_version, :host)
ON DUPLICATE KEY UPDATE
    last_seen_at = :last_seen_at, slots = COALESCE(:slots, slots),
    runner_version = COALESCE(:runner_version, runner_version), host = COALESCE(:host, host);
