-- Statements of beats.sql that MariaDB and MySQL say in their own way.

-- write_beats --
-- Nodes reported, given as a JSON list in the order of their ids; a figure that is absent is unknown.
UPDATE JSON_TABLE(:beats, '$[*]' COLUMNS (
    id BIGINT PATH '$.id',
    last_heartbeat_at BIGINT PATH '$.last_heartbeat_at', disk_free_pct DOUBLE PATH '$.disk_free_pct',
    disk_free_bytes BIGINT PATH '$.disk_free_bytes', disk_total_bytes BIGINT PATH '$.disk_total_bytes',
    inodes_free_pct DOUBLE PATH '$.inodes_free_pct', container_count INT PATH '$.container_count',
    interval_seconds DOUBLE PATH '$.interval_seconds', agent_version VARCHAR(256) PATH '$.agent_version',
    update_time BIGINT PATH '$.update_time', inodes_total BIGINT PATH '$.inodes_total',
    inodes_free BIGINT PATH '$.inodes_free', labels_csv VARCHAR(1024) PATH '$.labels_csv',
    disk_level VARCHAR(16) PATH '$.disk_level', disk_words VARCHAR(256) PATH '$.disk_words',
    vitals_json VARCHAR(8000) PATH '$.vitals_json'
)) AS t
STRAIGHT_JOIN fun_ai_deploy_runtime_node AS n ON n.id = t.id
SET n.last_heartbeat_at = t.last_heartbeat_at, n.disk_free_pct = t.disk_free_pct,
    n.disk_free_bytes = t.disk_free_bytes, n.disk_total_bytes = t.disk_total_bytes,
    n.inodes_free_pct = t.inodes_free_pct, n.container_count = t.container_count,
    n.interval_seconds = t.interval_seconds, n.agent_version = t.agent_version, n.update_time = t.update_time,
    n.inodes_total = t.inodes_total, n.inodes_free = t.inodes_free, n.labels_csv = t.labels_csv,
    n.disk_level = t.disk_level, n.disk_words = t.disk_words, n.vitals_json = t.vitals_json;
