-- Nodes that were deleted, and what deleting one takes.

-- tombstone --
-- Who deleted the node of this name.
SELECT * FROM fun_ai_deploy_node_tombstone WHERE name = :name;

-- insert_tombstone --
-- Keep the agent of a deleted node out.
INSERT INTO fun_ai_deploy_node_tombstone (name, node_id, actor, create_time)
VALUES (:name, :node_id, :actor, :create_time);

-- delete_tombstone --
-- The node is wanted again.
DELETE FROM fun_ai_deploy_node_tombstone WHERE name = :name;

-- delete_node --
-- Forget a node.
DELETE FROM fun_ai_deploy_runtime_node WHERE id = :id;

-- forget_node_of_runs --
-- What ran on a node that is deleted runs on no known one.
UPDATE fun_ai_deploy_app_run SET node_id = NULL WHERE node_id = :node_id;

-- operations_of_node --
-- What a node still has to do, oldest first.
SELECT * FROM fun_ai_deploy_operation WHERE node_id = :node_id AND state = 'PENDING' ORDER BY id LIMIT :limit;
