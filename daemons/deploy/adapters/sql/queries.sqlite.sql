-- Statements that SQLite says in its own way.

-- lock_app --
-- Make the app's row if it is new; the transaction holds the database's write lock anyway.
INSERT INTO fun_ai_deploy_app (app_id) VALUES (:app_id) ON CONFLICT (app_id) DO NOTHING;

-- raise_fence --
-- Raise the app's fence, making its row if it is new, and answer the new one.
INSERT INTO fun_ai_deploy_app (app_id, fence) VALUES (:app_id, 1)
ON CONFLICT (app_id) DO UPDATE SET fence = fence + 1
RETURNING fence;

-- put_placement --
-- Place or move an app.
INSERT INTO fun_ai_deploy_runtime_placement (app_id, node_id, last_active_at, placed_at, create_time, update_time)
VALUES (:app_id, :node_id, :last_active_at, :last_active_at, :create_time, :last_active_at)
ON CONFLICT (app_id) DO UPDATE SET
    placed_at = CASE WHEN node_id <> :node_id THEN :last_active_at ELSE placed_at END,
    node_id = :node_id, last_active_at = :last_active_at, update_time = :last_active_at;

-- put_app_run --
-- Write the last known state of an app.
INSERT INTO fun_ai_deploy_app_run (
    app_id, node_id, last_job_id, last_job_status, last_error, last_deployed_at, last_active_at, create_time, update_time
) VALUES (
    :app_id, :node_id, :last_job_id, :last_job_status, :last_error, :last_deployed_at, :last_active_at,
    CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
)
ON CONFLICT (app_id) DO UPDATE SET
    node_id = :node_id, last_job_id = :last_job_id, last_job_status = :last_job_status, last_error = :last_error,
    last_deployed_at = :last_deployed_at, last_active_at = :last_active_at,
    update_time = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER);

-- touch_runner --
-- A runner was heard of; what it did not say keeps its value.
INSERT INTO fun_ai_deploy_runner (id, last_seen_at, slots, runner_version, host)
VALUES (:id, :last_seen_at, :slots, :runner_version, :host)
ON CONFLICT (id) DO UPDATE SET
    last_seen_at = :last_seen_at, slots = COALESCE(:slots, slots),
    runner_version = COALESCE(:runner_version, runner_version), host = COALESCE(:host, host);

-- append_event --
-- One more event, at the database's time.
INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, body_json)
VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), :kind, :action, :subject, :actor, :body_json);

-- delete_events --
-- Some of the events that are too old.
DELETE FROM fun_ai_deploy_event WHERE seq IN (
    SELECT seq FROM fun_ai_deploy_event WHERE create_time < :before ORDER BY create_time, seq LIMIT :limit
);

-- delete_expired_requests --
-- Some of the keys whose day is over.
DELETE FROM fun_ai_deploy_idempotency WHERE rowid IN (
    SELECT rowid FROM fun_ai_deploy_idempotency WHERE expire_at <= :now ORDER BY expire_at LIMIT :limit
);

-- ask_image_review --
-- Have an app's images reviewed; one that is asked for again starts over.
INSERT INTO fun_ai_deploy_image_review (app_id, user_id, not_before, attempts, last_error, version)
VALUES (:app_id, :user_id, :not_before, 0, NULL, 1)
ON CONFLICT (app_id) DO UPDATE SET
    user_id = :user_id, not_before = :not_before, attempts = 0, last_error = NULL, version = version + 1;
