-- Statements of fleet.sql that SQLite says in its own way.

-- nodes --
-- All nodes, each as one JSON list; by itself the function writes 15 digits of a fraction.
SELECT JSON_ARRAY(
    id, name, agent_base_url, gateway_base_url, enabled, weight, last_heartbeat_at,
    JSON(IIF(disk_free_pct IS NULL, 'null', PRINTF('%!.17g', disk_free_pct))), disk_free_bytes, disk_total_bytes,
    JSON(IIF(inodes_free_pct IS NULL, 'null', PRINTF('%!.17g', inodes_free_pct))), container_count,
    JSON(IIF(interval_seconds IS NULL, 'null', PRINTF('%!.17g', interval_seconds))), agent_version, create_time,
    update_time, inodes_total, inodes_free, labels_csv, disk_level, disk_words, vitals_json
) AS node
FROM fun_ai_deploy_runtime_node ORDER BY id;

-- put_placement --
-- Place or move an app.
INSERT INTO fun_ai_deploy_runtime_placement (
    app_id, node_id, last_active_at, placed_at, create_time, update_time, reasons_json
) VALUES (:app_id, :node_id, :last_active_at, :last_active_at, :create_time, :last_active_at, :reasons_json)
ON CONFLICT (app_id) DO UPDATE SET
    placed_at = CASE WHEN node_id <> excluded.node_id THEN excluded.placed_at ELSE placed_at END,
    node_id = excluded.node_id, last_active_at = excluded.last_active_at, update_time = excluded.update_time,
    reasons_json = excluded.reasons_json;

-- put_app_run --
-- Write the last known state of an app.
INSERT INTO fun_ai_deploy_app_run (
    app_id, node_id, last_job_id, last_job_status, last_error, last_deployed_at, last_active_at, built_by, create_time,
    update_time
) VALUES (
    :app_id, :node_id, :last_job_id, :last_job_status, :last_error, :last_deployed_at, :last_active_at, :built_by,
    CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
)
ON CONFLICT (app_id) DO UPDATE SET
    node_id = excluded.node_id, last_job_id = excluded.last_job_id, last_job_status = excluded.last_job_status,
    last_error = excluded.last_error, last_deployed_at = excluded.last_deployed_at,
    last_active_at = excluded.last_active_at, built_by = excluded.built_by,
    update_time = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER);

-- touch_runners --
-- Runners were heard of, given as a JSON list; what one did not say keeps its value.
INSERT INTO fun_ai_deploy_runner (id, last_seen_at, slots, runner_version, host, labels_csv, vitals_json)
SELECT value ->> 'id', value ->> 'last_seen_at', value ->> 'slots', value ->> 'runner_version', value ->> 'host',
    value ->> 'labels_csv', value ->> 'vitals_json'
FROM json_each(:runners) WHERE true
ON CONFLICT (id) DO UPDATE SET
    last_seen_at = excluded.last_seen_at, slots = COALESCE(excluded.slots, slots),
    runner_version = COALESCE(excluded.runner_version, runner_version), host = COALESCE(excluded.host, host),
    labels_csv = COALESCE(excluded.labels_csv, labels_csv), vitals_json = COALESCE(excluded.vitals_json, vitals_json);
