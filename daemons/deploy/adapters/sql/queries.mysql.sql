-- Statements that MariaDB and MySQL say in their own way.

-- lock_app --
-- Lock the app's row, making it if it is new.
INSERT INTO fun_ai_deploy_app (app_id) VALUES (:app_id) ON DUPLICATE KEY UPDATE app_id = :app_id;

-- raise_fence --
-- Lock the app's row, making it if it is new, and raise its fence; the new one is answered as the generated number.
INSERT INTO fun_ai_deploy_app (app_id, fence) VALUES (:app_id, LAST_INSERT_ID(1))
ON DUPLICATE KEY UPDATE fence = LAST_INSERT_ID(fence + 1);

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

-- append_event --
-- One more event, at the database's time.
INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, body_json)
VALUES (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), :kind, :action, :subject, :actor, :body_json);

-- delete_events --
-- Some of the events that are too old; through the index, so that no newer row is looked at and locked.
DELETE FROM fun_ai_deploy_event WHERE create_time < :before ORDER BY create_time, seq LIMIT :limit;

-- delete_expired_requests --
-- Some of the keys whose day is over; through the index, so that no other row is looked at and locked.
DELETE FROM fun_ai_deploy_idempotency WHERE expire_at <= :now ORDER BY expire_at LIMIT :limit;

-- ask_image_review --
-- Have an app's images reviewed; one that is asked for again starts over.
INSERT INTO fun_ai_deploy_image_review (app_id, user_id, not_before, attempts, last_error, version)
VALUES (:app_id, :user_id, :not_before, 0, NULL, 1)
ON DUPLICATE KEY UPDATE
    user_id = :user_id, not_before = :not_before, attempts = 0, last_error = NULL, version = version + 1;
