-- Statements of beats.sql that SQLite says in its own way.

-- write_beats --
-- Nodes reported, given as a JSON list; a figure that is absent is unknown.
UPDATE fun_ai_deploy_runtime_node
SET last_heartbeat_at = beat ->> 'last_heartbeat_at', disk_free_pct = beat ->> 'disk_free_pct',
    disk_free_bytes = beat ->> 'disk_free_bytes', disk_total_bytes = beat ->> 'disk_total_bytes',
    inodes_free_pct = beat ->> 'inodes_free_pct', container_count = beat ->> 'container_count',
    interval_seconds = beat ->> 'interval_seconds', agent_version = beat ->> 'agent_version',
    update_time = beat ->> 'update_time', inodes_total = beat ->> 'inodes_total', inodes_free = beat ->> 'inodes_free',
    labels_csv = beat ->> 'labels_csv', disk_level = beat ->> 'disk_level', disk_words = beat ->> 'disk_words',
    vitals_json = beat ->> 'vitals_json'
FROM (SELECT value AS beat, value ->> 'id' AS beat_id FROM json_each(:beats))
WHERE id = beat_id;
