-- Nodes, placements, what runs where, and runners.

-- nodes --
-- All nodes, each as one JSON list: reading twenty-two columns of a thousand rows costs the program ten times as much.
SELECT JSON_ARRAY(
    id, name, agent_base_url, gateway_base_url, enabled, weight, last_heartbeat_at, disk_free_pct, disk_free_bytes,
    disk_total_bytes, inodes_free_pct, container_count, interval_seconds, agent_version, create_time, update_time,
    inodes_total, inodes_free, labels_csv, disk_level, disk_words, vitals_json
) AS node
FROM fun_ai_deploy_runtime_node ORDER BY id;

-- node --
-- One node by id.
SELECT * FROM fun_ai_deploy_runtime_node WHERE id = :id;

-- node_named --
-- One node by name.
SELECT * FROM fun_ai_deploy_runtime_node WHERE name = :name;

-- node_named_locked --
-- One node by name, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_runtime_node WHERE name = :name /*! FOR UPDATE */;

-- insert_node --
-- A new node; the database gives it its id.
INSERT INTO fun_ai_deploy_runtime_node (
    name, agent_base_url, gateway_base_url, enabled, weight, last_heartbeat_at, disk_free_pct, disk_free_bytes,
    disk_total_bytes, inodes_free_pct, container_count, interval_seconds, agent_version, create_time, update_time,
    inodes_total, inodes_free, labels_csv, disk_level, disk_words, vitals_json
) VALUES (
    :name, :agent_base_url, :gateway_base_url, :enabled, :weight, :last_heartbeat_at, :disk_free_pct,
    :disk_free_bytes, :disk_total_bytes, :inodes_free_pct, :container_count, :interval_seconds, :agent_version,
    :create_time, :update_time, :inodes_total, :inodes_free, :labels_csv, :disk_level,
    :disk_words, :vitals_json
);

-- save_node --
-- Every column of a node but its id and name.
UPDATE fun_ai_deploy_runtime_node
SET agent_base_url = :agent_base_url, gateway_base_url = :gateway_base_url, enabled = :enabled, weight = :weight,
    last_heartbeat_at = :last_heartbeat_at, disk_free_pct = :disk_free_pct, disk_free_bytes = :disk_free_bytes,
    disk_total_bytes = :disk_total_bytes, inodes_free_pct = :inodes_free_pct, container_count = :container_count,
    interval_seconds = :interval_seconds, agent_version = :agent_version, create_time = :create_time,
    update_time = :update_time, inodes_total = :inodes_total, inodes_free = :inodes_free, labels_csv = :labels_csv,
    disk_level = :disk_level, disk_words = :disk_words, vitals_json = :vitals_json
WHERE id = :id;

-- placement --
-- Where an app lives.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE app_id = :app_id;

-- placements_of --
-- Where these apps live.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE app_id IN (:app_ids);

-- serving_node --
-- The node that visitors of an app are led to: where it came up last, or else where it is to live. A move of the row
-- alone leads nobody away from what serves.
SELECT n.name, n.agent_base_url, n.gateway_base_url FROM fun_ai_deploy_runtime_node n JOIN (
    SELECT node_id, 0 AS turn FROM fun_ai_deploy_app_run WHERE app_id = :app_id AND last_deployed_at IS NOT NULL
    UNION ALL
    SELECT node_id, 1 AS turn FROM fun_ai_deploy_runtime_placement WHERE app_id = :app_id
) w ON w.node_id = n.id ORDER BY w.turn LIMIT 1;

-- all_placements --
-- The first placements by app id.
SELECT * FROM fun_ai_deploy_runtime_placement ORDER BY app_id LIMIT :limit;

-- placements_on --
-- One page of a node's placements.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE node_id = :node_id ORDER BY app_id LIMIT :limit OFFSET :offset;

-- count_placements --
-- How many apps live on each node.
SELECT node_id, COUNT(*) AS apps FROM fun_ai_deploy_runtime_placement GROUP BY node_id;

-- count_placements_on --
-- How many apps live on each of these nodes.
SELECT node_id, COUNT(*) AS apps FROM fun_ai_deploy_runtime_placement WHERE node_id IN (:node_ids) GROUP BY node_id;

-- placed_since --
-- How many apps came to each node lately.
SELECT node_id, COUNT(*) AS apps FROM fun_ai_deploy_runtime_placement WHERE placed_at >= :since GROUP BY node_id;

-- unseen_placements --
-- How many of the newest placements the figures of each node cannot show yet: those whose app was not deployed there
-- before the node's last heartbeat.
SELECT p.node_id, COUNT(*) AS apps
FROM (
    SELECT app_id, node_id, placed_at FROM fun_ai_deploy_runtime_placement
    WHERE placed_at >= :since ORDER BY placed_at DESC, node_id DESC LIMIT :limit
) p
JOIN fun_ai_deploy_runtime_node n ON n.id = p.node_id
LEFT JOIN fun_ai_deploy_app_run r ON r.app_id = p.app_id
WHERE n.last_heartbeat_at IS NULL OR r.last_deployed_at IS NULL OR r.last_deployed_at < p.placed_at
    OR r.last_deployed_at >= n.last_heartbeat_at
GROUP BY p.node_id;

-- delete_placement --
-- Forget where an app lives.
DELETE FROM fun_ai_deploy_runtime_placement WHERE app_id = :app_id;

-- app_run --
-- The last known state of an app.
SELECT * FROM fun_ai_deploy_app_run WHERE app_id = :app_id;

-- app_runs --
-- The first states by app id.
SELECT * FROM fun_ai_deploy_app_run ORDER BY app_id LIMIT :limit;

-- delete_app_run --
-- Forget the last known state of an app.
DELETE FROM fun_ai_deploy_app_run WHERE app_id = :app_id;

-- runners --
-- All runners.
SELECT * FROM fun_ai_deploy_runner ORDER BY id;

-- forget_runners --
-- Runners that were not heard of for long; one that was drained has to be so when it comes back.
DELETE FROM fun_ai_deploy_runner WHERE last_seen_at < :unseen_since AND drained_at IS NULL;

-- drain_runner --
-- A runner takes no more work from now on, or (with nulls) takes work again.
UPDATE fun_ai_deploy_runner SET drained_at = :drained_at, drained_by = :drained_by WHERE id = :id;

-- drained_runners --
-- Those of these runners that take no more work.
SELECT id FROM fun_ai_deploy_runner WHERE id IN (:ids) AND drained_at IS NOT NULL;

-- runners_named --
-- These runners.
SELECT * FROM fun_ai_deploy_runner WHERE id IN (:ids);

-- lock_runners --
-- These runners, locked until the transaction ends.
SELECT id FROM fun_ai_deploy_runner WHERE id IN (:ids) ORDER BY id /*! FOR UPDATE */;
