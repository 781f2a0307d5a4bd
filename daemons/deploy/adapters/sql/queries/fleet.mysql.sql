-- Statements of fleet.sql that MariaDB and MySQL say in their own way.

-- put_placement --
-- Place or move an app; assignments run in order, so placed_at still sees the node of before.
INSERT INTO fun_ai_deploy_runtime_placement (
    app_id, node_id, last_active_at, placed_at, create_time, update_time, reasons_json
) VALUES (:app_id, :node_id, :last_active_at, :last_active_at, :create_time, :last_active_at, :reasons_json)
ON DUPLICATE KEY UPDATE
    placed_at = CASE WHEN node_id <> VALUES(node_id) THEN VALUES(placed_at) ELSE placed_at END,
    node_id = VALUES(node_id), last_active_at = VALUES(last_active_at), update_time = VALUES(update_time),
    reasons_json = VALUES(reasons_json);

-- put_app_run --
-- Write the last known state of an app.
INSERT INTO fun_ai_deploy_app_run (
    app_id, node_id, last_job_id, last_job_status, last_error, last_deployed_at, last_active_at, built_by, create_time,
    update_time
) VALUES (
    :app_id, :node_id, :last_job_id, :last_job_status, :last_error, :last_deployed_at, :last_active_at, :built_by,
    CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
)
ON DUPLICATE KEY UPDATE
    node_id = VALUES(node_id), last_job_id = VALUES(last_job_id), last_job_status = VALUES(last_job_status),
    last_error = VALUES(last_error), last_deployed_at = VALUES(last_deployed_at),
    last_active_at = VALUES(last_active_at), built_by = VALUES(built_by),
    update_time = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED);

-- touch_runners --
-- Runners were heard of, given as a JSON list in the order of their ids; what one did not say keeps its value.
INSERT INTO fun_ai_deploy_runner (id, last_seen_at, slots, runner_version, host, labels_csv, vitals_json)
SELECT t.id, t.last_seen_at, t.slots, t.runner_version, t.host, t.labels_csv, t.vitals_json
FROM JSON_TABLE(:runners, '$[*]' COLUMNS (
    id VARCHAR(128) PATH '$.id', last_seen_at BIGINT PATH '$.last_seen_at', slots INT PATH '$.slots',
    runner_version VARCHAR(256) PATH '$.runner_version', host VARCHAR(256) PATH '$.host',
    labels_csv VARCHAR(1024) PATH '$.labels_csv', vitals_json VARCHAR(12000) PATH '$.vitals_json'
)) AS t
ON DUPLICATE KEY UPDATE
    last_seen_at = VALUES(last_seen_at), slots = COALESCE(VALUES(slots), fun_ai_deploy_runner.slots),
    runner_version = COALESCE(VALUES(runner_version), fun_ai_deploy_runner.runner_version),
    host = COALESCE(VALUES(host), fun_ai_deploy_runner.host),
    labels_csv = COALESCE(VALUES(labels_csv), fun_ai_deploy_runner.labels_csv),
    vitals_json = COALESCE(VALUES(vitals_json), fun_ai_deploy_runner.vitals_json);
