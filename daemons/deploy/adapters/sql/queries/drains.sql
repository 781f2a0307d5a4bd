-- Plans that drain nodes, their moves, and the apps of a node.

-- insert_drain --
-- A new plan; the unique index refuses a second live one of the node.
INSERT INTO fun_ai_deploy_drain (
    node_id, kind, state, max_parallel, is_partial, was_enabled, actor, create_time, update_time, finish_time, version
) VALUES (
    :node_id, :kind, :state, :max_parallel, :is_partial, :was_enabled, :actor, :create_time, :update_time,
    :finish_time, :version
);

-- drain --
-- One plan.
SELECT * FROM fun_ai_deploy_drain WHERE id = :id;

-- drain_locked --
-- One plan, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_drain WHERE id = :id /*! FOR UPDATE */;

-- drain_free --
-- One plan, locked, unless another transaction holds it.
SELECT * FROM fun_ai_deploy_drain WHERE id = :id /*! FOR UPDATE SKIP LOCKED */;

-- live_drains --
-- Plans that are not over.
SELECT * FROM fun_ai_deploy_drain WHERE live_node IS NOT NULL ORDER BY id;

-- live_drain_of --
-- The plan of a node that is not over.
SELECT * FROM fun_ai_deploy_drain WHERE live_node = :node_id;

-- drains_before --
-- Plans with a lower number, newest first.
SELECT * FROM fun_ai_deploy_drain WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- newest_drain_of --
-- The newest plan of a node.
SELECT * FROM fun_ai_deploy_drain WHERE node_id = :node_id ORDER BY id DESC LIMIT 1;

-- save_drain --
-- What changes about a plan, if its row is still the one the change started from.
UPDATE fun_ai_deploy_drain
SET state = :state, update_time = :update_time, finish_time = :finish_time, version = :version
WHERE id = :id AND version = :was_version;

-- insert_drain_move --
-- One app of a new plan.
INSERT INTO fun_ai_deploy_drain_move (
    drain_id, app_id, state, target_node_id, job_id, attempts, tried, message, update_time
) VALUES (
    :drain_id, :app_id, :state, :target_node_id, :job_id, :attempts, :tried, :message, :update_time
);

-- drain_moves --
-- The moves of a plan.
SELECT * FROM fun_ai_deploy_drain_move WHERE drain_id = :drain_id ORDER BY app_id;

-- save_drain_move --
-- A move; whoever writes it holds the plan's row.
UPDATE fun_ai_deploy_drain_move
SET state = :state, target_node_id = :target_node_id, job_id = :job_id, attempts = :attempts, tried = :tried,
    message = :message, update_time = :update_time
WHERE drain_id = :drain_id AND app_id = :app_id;

-- drain_counts --
-- How many moves of these plans are in each state.
SELECT drain_id, state, COUNT(*) AS moves FROM fun_ai_deploy_drain_move WHERE drain_id IN (:drain_ids)
GROUP BY drain_id, state;

-- drain_failures --
-- Some failed moves of these plans.
SELECT * FROM fun_ai_deploy_drain_move WHERE drain_id IN (:drain_ids) AND state = 'FAILED'
ORDER BY drain_id, app_id LIMIT :limit;

-- apps_on_node --
-- Apps that are placed on a node or run there.
SELECT app_id FROM fun_ai_deploy_runtime_placement WHERE node_id = :node_id
UNION
SELECT app_id FROM fun_ai_deploy_app_run
WHERE node_id = :node_id AND last_deployed_at IS NOT NULL AND COALESCE(last_job_status, '') <> 'STOPPED'
ORDER BY app_id LIMIT :limit;

-- newest_releases --
-- The newest release of each of these apps.
SELECT r.* FROM fun_ai_deploy_release r
JOIN (
    SELECT app_id, MAX(number) AS number FROM fun_ai_deploy_release WHERE app_id IN (:app_ids) GROUP BY app_id
) newest ON newest.app_id = r.app_id AND newest.number = r.number;

-- newest_success --
-- The newest job of an app that succeeded.
SELECT * FROM fun_ai_deploy_job WHERE app_id = :app_id AND status = 'SUCCEEDED'
ORDER BY create_time DESC, id DESC LIMIT 1;
