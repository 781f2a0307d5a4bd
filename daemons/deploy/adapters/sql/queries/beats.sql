-- Heartbeats of many nodes at once.

-- nodes_named_locked --
-- These nodes, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_runtime_node WHERE name IN (:names) ORDER BY name /*! FOR UPDATE */;
