-- Results of jobs that are delivered to the webhook.

-- insert_delivery --
-- A result to deliver; a job ends once.
INSERT INTO fun_ai_deploy_webhook (
    delivery_key, event, app_id, job_id, body, state, attempts, not_before, since, create_time, update_time, version
) VALUES (
    :delivery_key, :event, :app_id, :job_id, :body, 'PENDING', 0, :now, :now, :now, :now, 1
);

-- due_deliveries --
-- What may be sent now, the longest waiting first, each with the number of its app's first.
SELECT w.*, (
    SELECT o.id FROM fun_ai_deploy_webhook o WHERE o.app_id = w.app_id AND o.state = 'PENDING' ORDER BY o.id LIMIT 1
) AS first_id
FROM fun_ai_deploy_webhook w /*! FORCE INDEX (idx_fun_ai_deploy_webhook_state_not_before) */
WHERE w.state = 'PENDING' AND w.not_before <= :now
ORDER BY w.not_before, w.id
LIMIT :limit;

-- hold_deliveries --
-- They wait behind an earlier one of their app, and are not looked at until it ended.
UPDATE fun_ai_deploy_webhook SET not_before = NULL, version = version + 1 WHERE id IN (:ids) AND state = 'PENDING';

-- release_delivery --
-- The app's next one is due.
UPDATE fun_ai_deploy_webhook SET not_before = :now, version = version + 1 WHERE id IN (
    SELECT held.id FROM (
        SELECT MIN(id) AS id FROM fun_ai_deploy_webhook
        WHERE app_id = :app_id AND state = 'PENDING' AND not_before IS NULL
    ) held
);

-- save_delivery --
-- All that changes about a delivery, if its row is still the one the change started from.
UPDATE fun_ai_deploy_webhook
SET state = :state, attempts = :attempts, last_status = :last_status, last_error = :last_error,
    not_before = :not_before, since = :since, finished_at = :finished_at, update_time = :update_time,
    version = :version
WHERE id = :id AND version = :was_version;

-- delivery --
-- One delivery.
SELECT * FROM fun_ai_deploy_webhook WHERE id = :id;

-- delivery_locked --
-- One delivery, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_webhook WHERE id = :id /*! FOR UPDATE */;

-- deliveries_before --
-- Deliveries with a lower id, newest first; one index for each filter.
SELECT * FROM fun_ai_deploy_webhook WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- deliveries_of_state --
-- Deliveries in a state, newest first.
SELECT * FROM fun_ai_deploy_webhook WHERE state = :state AND id < :before ORDER BY id DESC LIMIT :limit;

-- deliveries_of_app --
-- Deliveries of an app, newest first; an empty state matches all.
SELECT * FROM fun_ai_deploy_webhook
WHERE app_id = :app_id AND id < :before AND (:state = '' OR state = :state)
ORDER BY id DESC
LIMIT :limit;
