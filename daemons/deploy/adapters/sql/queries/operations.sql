-- Operations on apps that nodes have yet to carry out.

-- insert_operation --
-- A new operation; the database gives it its id.
INSERT INTO fun_ai_deploy_operation (
    kind, app_id, user_id, node_id, fence, sequel, cause, actor, source_address, state, reason, last_error, attempts,
    not_before, holder, lease_until, finished_at, create_time, update_time, version
) VALUES (
    :kind, :app_id, :user_id, :node_id, :fence, :sequel, :cause, :actor, :source_address, :state, :reason, :last_error,
    :attempts, :not_before, :holder, :lease_until, :finished_at, :create_time, :update_time, :version
);

-- save_operation --
-- All that changes about an operation, if its row is still the one the change started from.
UPDATE fun_ai_deploy_operation
SET fence = :fence, state = :state, reason = :reason, last_error = :last_error, attempts = :attempts,
    not_before = :not_before, holder = :holder, lease_until = :lease_until, finished_at = :finished_at,
    update_time = :update_time, version = :version
WHERE id = :id AND version = :was_version;

-- operation --
-- One operation.
SELECT * FROM fun_ai_deploy_operation WHERE id = :id;

-- operation_locked --
-- One operation, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_operation WHERE id = :id /*! FOR UPDATE */;

-- pending_operations --
-- What is still to be done about an app.
SELECT * FROM fun_ai_deploy_operation WHERE app_id = :app_id AND state = 'PENDING' ORDER BY id;

-- pending_operations_locked --
-- What is still to be done about an app, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_operation WHERE app_id = :app_id AND state = 'PENDING' ORDER BY id /*! FOR UPDATE */;

-- due_operations --
-- What may be tried now, the longest waiting first, locked.
SELECT * FROM fun_ai_deploy_operation /*! FORCE INDEX (idx_fun_ai_deploy_operation_state_not_before) */
WHERE state = 'PENDING' AND not_before <= :now
ORDER BY not_before, id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

-- awakened_operations --
-- What failed because a node was silent that was heard of since.
SELECT o.id FROM fun_ai_deploy_runtime_node n
INNER JOIN fun_ai_deploy_operation o ON o.node_id = n.id
WHERE o.state = 'PENDING' AND o.reason = 'node_stale' AND o.holder IS NULL AND o.not_before > :now
    AND n.last_heartbeat_at > o.update_time
ORDER BY o.id
LIMIT :limit;

-- operations_locked --
-- Pending ones by id, locked; those that others hold are skipped.
SELECT * FROM fun_ai_deploy_operation WHERE id IN (:ids) AND state = 'PENDING'
ORDER BY id /*! FOR UPDATE SKIP LOCKED */;

-- operations_before --
-- Operations with a lower id, newest first; an empty filter matches all.
SELECT * FROM fun_ai_deploy_operation
WHERE id < :before AND (:state = '' OR state = :state) AND (:app_id = '' OR app_id = :app_id)
    AND (:user_id = '' OR user_id = :user_id) AND (:node_id = 0 OR node_id = :node_id)
ORDER BY id DESC
LIMIT :limit;

-- count_operations --
-- How much a node still has to do.
SELECT COUNT(*) AS operations FROM fun_ai_deploy_operation WHERE node_id = :node_id AND state = 'PENDING';
