-- The claim: who is in the line, what is due, what runners hold. Only lock_free_apps and lock_due_jobs lock.

-- oldest_standings --
-- The users of the jobs that wait longest (a higher priority counts as waiting), and how each stands in the line.
SELECT l.user_id,
    (SELECT h.queue_rank FROM fun_ai_deploy_job h /*! FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank) */
        WHERE h.status = 'PENDING' AND h.user_id = l.user_id ORDER BY h.queue_rank, h.id LIMIT 1) AS queue_rank,
    (SELECT h.priority FROM fun_ai_deploy_job h /*! FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank) */
        WHERE h.status = 'PENDING' AND h.user_id = l.user_id ORDER BY h.queue_rank, h.id LIMIT 1) AS priority,
    (SELECT COUNT(*) FROM fun_ai_deploy_job r /*! FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank) */
        WHERE r.status = 'RUNNING' AND r.user_id = l.user_id) AS running,
    (SELECT s.started_at FROM fun_ai_deploy_job s /*! FORCE INDEX (idx_fun_ai_deploy_job_user_started) */
        WHERE s.user_id = l.user_id ORDER BY s.started_at DESC LIMIT 1) AS served_at
FROM (
    SELECT DISTINCT o.user_id
    FROM (
        SELECT j.user_id FROM fun_ai_deploy_job j /*! FORCE INDEX (idx_fun_ai_deploy_job_status_rank) */
        WHERE j.status = 'PENDING' ORDER BY j.queue_rank, j.id LIMIT :limit
    ) o
) l;

-- due_ids --
-- Of each of some users, the PENDING jobs that are due, in order; the index keeps the order. Ids alone: a server that puts
-- fifty answers together does so in memory then, and plans fifty joins less.
/*each*/SELECT d.id FROM (
SELECT j.id FROM fun_ai_deploy_job j /*! FORCE INDEX (idx_fun_ai_deploy_job_status_user_rank) */
WHERE j.status = 'PENDING' AND j.user_id = :user_id AND j.not_before <= :now
ORDER BY j.queue_rank, j.id
LIMIT :limit OFFSET :skip) d/*end*/;

-- due_jobs --
-- These PENDING jobs with what is known of their apps.
SELECT j.id, j.app_id, j.user_id, j.priority, j.queue_rank, j.create_time, j.not_before, j.requires_csv,
    JSON_EXTRACT(j.payload_json, '$.image') IS NULL AS builds, r.id IS NOT NULL AS blocked, p.node_id, a.built_by,
    a.last_active_at, a.last_deployed_at,
    CASE WHEN j.type = 'MIGRATE_APP' THEN JSON_EXTRACT(j.payload_json, '$.targetNodeId') END AS target_node_id
FROM fun_ai_deploy_job j /*! FORCE INDEX (PRIMARY) */
LEFT JOIN fun_ai_deploy_job r ON r.running_app = j.app_id
LEFT JOIN fun_ai_deploy_runtime_placement p ON p.app_id = j.app_id
LEFT JOIN fun_ai_deploy_app_run a ON a.app_id = j.app_id
WHERE j.id IN (:ids) AND j.status = 'PENDING';

-- lock_due_jobs --
-- Those of these jobs that may still start, locked.
SELECT j.* FROM fun_ai_deploy_job j /*! FORCE INDEX (PRIMARY) */
WHERE j.id IN (:ids) AND j.status = 'PENDING' AND j.not_before <= :now
    AND NOT EXISTS (SELECT 1 FROM fun_ai_deploy_job r WHERE r.running_app = j.app_id)
/*! FOR UPDATE SKIP LOCKED */;

-- lock_free_apps --
-- The fences of those of these apps that no other transaction holds, locked.
SELECT app_id, fence FROM fun_ai_deploy_app WHERE app_id IN (:app_ids) /*! FOR UPDATE SKIP LOCKED */;

-- raise_fences --
-- Raise the fences of these apps by one.
UPDATE fun_ai_deploy_app SET fence = fence + 1 WHERE app_id IN (:app_ids);

-- held_by --
-- The RUNNING jobs of these runners.
SELECT id, runner_id, claim_key FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_status_runner) */
WHERE status = 'RUNNING' AND runner_id IN (:runner_ids);
