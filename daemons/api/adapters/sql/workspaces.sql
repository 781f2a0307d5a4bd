-- workspace_nodes --
SELECT * FROM fun_ai_workspace_node ORDER BY id;

-- workspace_node --
SELECT * FROM fun_ai_workspace_node WHERE id = :id;

-- workspace_node_named --
SELECT * FROM fun_ai_workspace_node WHERE name = :name /*! FOR UPDATE */;

-- lock_workspace_nodes --
-- New placements are decided one after the other: each sees those before it.
SELECT id FROM fun_ai_workspace_node ORDER BY id /*! FOR UPDATE */;

-- add_workspace_node --
-- Refused by the unique index on the name.
INSERT INTO fun_ai_workspace_node (name, nginx_base_url, api_base_url, enabled, weight, create_time, update_time)
VALUES (:name, :nginx_base_url, :api_base_url, :enabled, :weight, :now, :now);

-- hear_workspace_node --
UPDATE fun_ai_workspace_node
SET nginx_base_url = :nginx_base_url, api_base_url = :api_base_url, last_heartbeat_at = :now,
    interval_seconds = :interval_seconds, containers_running = :containers_running,
    containers_frozen = :containers_frozen, containers_stopped = :containers_stopped,
    disk_free_bytes = :disk_free_bytes, disk_total_bytes = :disk_total_bytes, quota = :quota, version = :version
WHERE id = :id;

-- save_workspace_node --
UPDATE fun_ai_workspace_node
SET name = :name, nginx_base_url = :nginx_base_url, api_base_url = :api_base_url, enabled = :enabled,
    weight = :weight, update_time = :now
WHERE id = :id;

-- enable_workspace_node --
UPDATE fun_ai_workspace_node SET enabled = :enabled, update_time = :now WHERE id = :id;

-- workspace_placement_counts --
-- Of each node its users, and those who came since it reported last: its figures cannot show them yet.
SELECT p.node_id, COUNT(*) AS assigned,
    SUM(CASE WHEN p.update_time >= COALESCE(n.last_heartbeat_at, 0) THEN 1 ELSE 0 END) AS unseen
FROM fun_ai_workspace_placement p JOIN fun_ai_workspace_node n ON n.id = p.node_id
GROUP BY p.node_id;

-- workspace_placement --
SELECT user_id, node_id, epoch, last_active_at FROM fun_ai_workspace_placement WHERE user_id = :user_id;

-- add_workspace_placement --
-- Refused by the unique index on the user.
INSERT INTO fun_ai_workspace_placement (user_id, node_id, epoch, last_active_at, create_time, update_time)
VALUES (:user_id, :node_id, 1, :now, :now, :now);

-- move_workspace_placement --
-- Guarded by the epoch: of two moves at once one finds that it is over. A workspace that is on its way goes that way.
UPDATE fun_ai_workspace_placement SET node_id = :node_id, epoch = epoch + 1, update_time = :now
WHERE user_id = :user_id AND epoch = :epoch
    AND NOT EXISTS (SELECT 1 FROM fun_ai_workspace_move WHERE active_user = :user_id);

-- touch_workspace_placement --
UPDATE fun_ai_workspace_placement SET last_active_at = :now WHERE user_id = :user_id AND last_active_at < :now;

-- workspace_placements_of_node --
SELECT user_id, node_id, epoch, last_active_at FROM fun_ai_workspace_placement
WHERE node_id = :node_id ORDER BY user_id LIMIT :most OFFSET :skipped;

-- count_workspace_placements --
SELECT COUNT(*) AS found FROM fun_ai_workspace_placement WHERE node_id = :node_id;

-- count_users --
SELECT COUNT(*) AS found FROM fun_ai_user;
