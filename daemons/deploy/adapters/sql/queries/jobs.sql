-- Jobs, and the app rows that serialise them. What stands in /*! */ is for MySQL alone: there, row locks; on SQLite a
-- transaction holds the whole database.

-- insert_job --
-- A new job; the unique indexes refuse a second PENDING or RUNNING one of the app.
INSERT INTO fun_ai_deploy_job (
    id, type, status, app_id, user_id, payload_json, attempt, fence, runner_id, lease_token, lease_expire_at,
    not_before, started_at, confirmed_at, finished_at, phase, phase_message, error_message, reason, image,
    image_digest, commit_sha, log_length, log_expected, superseded_by, retry_of, create_time, update_time, version,
    priority, requires_csv, queue_rank, claim_key, stages_json, holders_json
) VALUES (
    :id, :type, :status, :app_id, :user_id, :payload_json, :attempt, :fence, :runner_id, :lease_token,
    :lease_expire_at, :not_before, :started_at, :confirmed_at, :finished_at, :phase, :phase_message,
    :error_message, :reason, :image, :image_digest, :commit_sha, :log_length, :log_expected, :superseded_by,
    :retry_of, :create_time, :update_time, :version, :priority, :requires_csv, :queue_rank, :claim_key, :stages_json,
    :holders_json
);

-- save_job --
-- The whole job but for its log's length, if its row is still the one the change started from.
UPDATE fun_ai_deploy_job
SET status = :status, payload_json = :payload_json, attempt = :attempt, fence = :fence, runner_id = :runner_id,
    lease_token = :lease_token, lease_expire_at = :lease_expire_at, not_before = :not_before,
    started_at = :started_at, confirmed_at = :confirmed_at, finished_at = :finished_at, phase = :phase,
    phase_message = :phase_message, error_message = :error_message, reason = :reason, image = :image,
    image_digest = :image_digest, commit_sha = :commit_sha, log_expected = :log_expected,
    superseded_by = :superseded_by, claim_key = :claim_key, stages_json = :stages_json,
    holders_json = :holders_json, update_time = :update_time, version = :version
WHERE id = :id AND version = :was_version;

-- job --
-- One job.
SELECT * FROM fun_ai_deploy_job WHERE id = :id;

-- job_locked --
-- One job, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_job WHERE id = :id /*! FOR UPDATE */;

-- newest_created --
-- When the newest job of an app was created.
SELECT app_id, MAX(create_time) AS newest_at FROM fun_ai_deploy_job WHERE app_id = :app_id GROUP BY app_id;

-- active_jobs --
-- The RUNNING and the PENDING job of an app, through the two unique indexes.
SELECT * FROM fun_ai_deploy_job WHERE running_app = :app_id
UNION ALL
SELECT * FROM fun_ai_deploy_job WHERE pending_app = :app_id;

-- running_of --
-- The RUNNING job of each of these apps.
SELECT * FROM fun_ai_deploy_job WHERE running_app IN (:app_ids);

-- pending_of --
-- The PENDING job of each of these apps.
SELECT * FROM fun_ai_deploy_job WHERE pending_app IN (:app_ids);

-- expired_jobs --
-- RUNNING jobs whose lease ended, oldest lease first, locked.
SELECT j.* FROM fun_ai_deploy_job j /*! FORCE INDEX (idx_fun_ai_deploy_job_status_lease) */
WHERE j.status = 'RUNNING' AND j.lease_expire_at <= :now
ORDER BY j.lease_expire_at, j.id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

-- overdue_jobs --
-- RUNNING jobs that started long ago, oldest first, locked.
SELECT j.* FROM fun_ai_deploy_job j /*! FORCE INDEX (idx_fun_ai_deploy_job_status_started) */
WHERE j.status = 'RUNNING' AND j.started_at < :before
ORDER BY j.started_at, j.id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

-- newest_jobs --
-- The newest jobs of all apps.
SELECT * FROM fun_ai_deploy_job /*! FORCE INDEX (idx_fun_ai_deploy_job_create_time) */
ORDER BY create_time DESC, id DESC LIMIT :limit;

-- jobs_of_app --
-- The newest jobs of one app.
SELECT * FROM fun_ai_deploy_job WHERE app_id = :app_id ORDER BY create_time DESC, id DESC LIMIT :limit;

-- ended_jobs --
-- Ids of an app's ended jobs that gave way to no other, newest first, without the first `keep`.
SELECT id FROM fun_ai_deploy_job
WHERE app_id = :app_id AND status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND superseded_by IS NULL
ORDER BY create_time DESC, id DESC
LIMIT :limit OFFSET :keep;

-- superseded_jobs --
-- Ids of an app's jobs that gave way to newer ones, newest first, without the first `keep`.
SELECT id FROM fun_ai_deploy_job
WHERE app_id = :app_id AND status IN ('FAILED', 'CANCELLED') AND superseded_by IS NOT NULL
ORDER BY create_time DESC, id DESC
LIMIT :limit OFFSET :keep;

-- delete_jobs --
-- Ended jobs by id.
DELETE FROM fun_ai_deploy_job WHERE id IN (:ids) AND status IN ('SUCCEEDED', 'FAILED', 'CANCELLED');

-- count_jobs --
-- How many jobs are active, by state.
SELECT status, COUNT(*) AS jobs FROM fun_ai_deploy_job WHERE status IN ('PENDING', 'RUNNING') GROUP BY status;
