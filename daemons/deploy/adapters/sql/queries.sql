-- What the control plane asks of its database. Statements that differ are in queries.mysql.sql and queries.sqlite.sql;
-- what stands in /*! */ is for MySQL alone: there, row locks; on SQLite a transaction holds the whole database.

-- known_tables --
-- Fails unless the tables are ours (and not those of another program under the same names).
SELECT a.fence, j.running_app, j.lease_token, j.log_expected, n.interval_seconds, p.placed_at, r.update_time
FROM fun_ai_deploy_app a, fun_ai_deploy_job j, fun_ai_deploy_runtime_node n, fun_ai_deploy_runtime_placement p,
    fun_ai_deploy_app_run r
LIMIT 0;

-- insert_job --
-- A new job; the unique indexes refuse a second PENDING or RUNNING one of the app.
INSERT INTO fun_ai_deploy_job (
    id, type, status, app_id, user_id, payload_json, attempt, fence, runner_id, lease_token, lease_expire_at,
    not_before, started_at, confirmed_at, finished_at, phase, phase_message, error_message, reason, image,
    image_digest, commit_sha, log_length, log_expected, superseded_by, retry_of, create_time, update_time, version
) VALUES (
    :id, :type, :status, :app_id, :user_id, :payload_json, :attempt, :fence, :runner_id, :lease_token,
    :lease_expire_at, :not_before, :started_at, :confirmed_at, :finished_at, :phase, :phase_message,
    :error_message, :reason, :image, :image_digest, :commit_sha, :log_length, :log_expected, :superseded_by,
    :retry_of, :create_time, :update_time, :version
);

-- save_job --
-- The whole job, if its row is still the one the change started from.
UPDATE fun_ai_deploy_job
SET status = :status, payload_json = :payload_json, attempt = :attempt, fence = :fence, runner_id = :runner_id,
    lease_token = :lease_token, lease_expire_at = :lease_expire_at, not_before = :not_before,
    started_at = :started_at, confirmed_at = :confirmed_at, finished_at = :finished_at, phase = :phase,
    phase_message = :phase_message, error_message = :error_message, reason = :reason, image = :image,
    image_digest = :image_digest, commit_sha = :commit_sha, log_length = :log_length, log_expected = :log_expected,
    superseded_by = :superseded_by, update_time = :update_time, version = :version
WHERE id = :id AND version = :was_version;

-- job --
-- One job.
SELECT * FROM fun_ai_deploy_job WHERE id = :id;

-- job_locked --
-- One job, locked until the transaction ends.
SELECT * FROM fun_ai_deploy_job WHERE id = :id /*! FOR UPDATE */;

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

-- claimable_jobs --
-- PENDING jobs that may start, oldest first, locked; the index keeps the order, so that only those rows are locked.
SELECT j.* FROM fun_ai_deploy_job j /*! FORCE INDEX (idx_fun_ai_deploy_job_status_create_time) */
WHERE j.status = 'PENDING' AND j.not_before <= :now
    AND NOT EXISTS (SELECT 1 FROM fun_ai_deploy_job r WHERE r.running_app = j.app_id)
ORDER BY j.create_time, j.id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

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
SELECT * FROM fun_ai_deploy_job ORDER BY create_time DESC, id DESC LIMIT :limit;

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

-- delete_logs --
-- The logs of these jobs.
DELETE FROM fun_ai_deploy_job_log WHERE job_id IN (:ids);

-- count_jobs --
-- How many jobs are active, by state.
SELECT status, COUNT(*) AS jobs FROM fun_ai_deploy_job WHERE status IN ('PENDING', 'RUNNING') GROUP BY status;

-- remembered_request --
-- Which job a request with this key made.
SELECT request_hash, job_id, expire_at FROM fun_ai_deploy_idempotency
WHERE app_id = :app_id AND user_id = :user_id AND caller = :caller AND idempotency_key = :idempotency_key;

-- remember_request --
-- A request with a key made this job.
INSERT INTO fun_ai_deploy_idempotency (app_id, user_id, caller, idempotency_key, request_hash, job_id, expire_at)
VALUES (:app_id, :user_id, :caller, :idempotency_key, :request_hash, :job_id, :expire_at);

-- forget_request --
-- The key is free again.
DELETE FROM fun_ai_deploy_idempotency
WHERE app_id = :app_id AND user_id = :user_id AND caller = :caller AND idempotency_key = :idempotency_key;

-- forget_requests_of --
-- All keys of an app are free again.
DELETE FROM fun_ai_deploy_idempotency WHERE app_id = :app_id;

-- nodes --
-- All nodes.
SELECT * FROM fun_ai_deploy_runtime_node ORDER BY id;

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
    disk_total_bytes, inodes_free_pct, container_count, interval_seconds, agent_version, create_time, update_time
) VALUES (
    :name, :agent_base_url, :gateway_base_url, :enabled, :weight, :last_heartbeat_at, :disk_free_pct,
    :disk_free_bytes, :disk_total_bytes, :inodes_free_pct, :container_count, :interval_seconds, :agent_version,
    :create_time, :update_time
);

-- save_node --
-- Every column of a node but its id and name.
UPDATE fun_ai_deploy_runtime_node
SET agent_base_url = :agent_base_url, gateway_base_url = :gateway_base_url, enabled = :enabled, weight = :weight,
    last_heartbeat_at = :last_heartbeat_at, disk_free_pct = :disk_free_pct, disk_free_bytes = :disk_free_bytes,
    disk_total_bytes = :disk_total_bytes, inodes_free_pct = :inodes_free_pct, container_count = :container_count,
    interval_seconds = :interval_seconds, agent_version = :agent_version, create_time = :create_time,
    update_time = :update_time
WHERE id = :id;

-- placement --
-- Where an app lives.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE app_id = :app_id;

-- placements_of --
-- Where these apps live.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE app_id IN (:app_ids);

-- all_placements --
-- The first placements by app id.
SELECT * FROM fun_ai_deploy_runtime_placement ORDER BY app_id LIMIT :limit;

-- placements_on --
-- One page of a node's placements.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE node_id = :node_id ORDER BY app_id LIMIT :limit OFFSET :offset;

-- count_placements --
-- How many apps live on each node.
SELECT node_id, COUNT(*) AS apps FROM fun_ai_deploy_runtime_placement GROUP BY node_id;

-- placed_since --
-- How many apps came to each node lately.
SELECT node_id, COUNT(*) AS apps FROM fun_ai_deploy_runtime_placement WHERE placed_at >= :since GROUP BY node_id;

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
-- Runners that were not heard of for long.
DELETE FROM fun_ai_deploy_runner WHERE last_seen_at < :unseen_since;

-- events_after --
-- Committed events with a higher number.
SELECT * FROM fun_ai_deploy_event WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- event_bounds --
-- The lowest and the highest number in the log.
SELECT COALESCE(MIN(seq), 0) AS lowest, COALESCE(MAX(seq), 0) AS highest FROM fun_ai_deploy_event;

-- insert_log --
-- One byte range of a job's log.
INSERT INTO fun_ai_deploy_job_log (job_id, start_offset, content) VALUES (:job_id, :start_offset, :content);

-- log_from --
-- The byte range that holds `offset` and those after it that begin before `end`.
SELECT start_offset, content FROM fun_ai_deploy_job_log
WHERE job_id = :job_id AND start_offset < :end AND start_offset >= COALESCE((
    SELECT MAX(start_offset) FROM fun_ai_deploy_job_log WHERE job_id = :job_id AND start_offset <= :offset
), 0)
ORDER BY start_offset;

-- releases_before --
-- An app's releases with a lower number, newest first.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND number < :before ORDER BY number DESC LIMIT :limit;

-- release --
-- One release of an app.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND number = :number;

-- releases_with_images --
-- An app's releases whose image was not removed, newest first.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND image_removed_at IS NULL ORDER BY number DESC
LIMIT :limit;

-- insert_release --
-- A new release.
INSERT INTO fun_ai_deploy_release (
    app_id, number, user_id, job_id, image, image_digest, commit_sha, config_hash, payload_json, node_id, pinned,
    held_until, image_removed_at, create_time
) VALUES (
    :app_id, :number, :user_id, :job_id, :image, :image_digest, :commit_sha, :config_hash, :payload_json, :node_id,
    :pinned, :held_until, :image_removed_at, :create_time
);

-- mark_release --
-- What can change about a release: whether it is pinned, held, and still has its image.
UPDATE fun_ai_deploy_release SET pinned = :pinned, held_until = :held_until, image_removed_at = :image_removed_at
WHERE app_id = :app_id AND number = :number;

-- delete_releases --
-- Forget an app's releases.
DELETE FROM fun_ai_deploy_release WHERE app_id = :app_id;

-- image_review --
-- The review that an app waits for.
SELECT * FROM fun_ai_deploy_image_review WHERE app_id = :app_id;

-- due_image_reviews --
-- Reviews that may start, the longest waiting first, locked.
SELECT * FROM fun_ai_deploy_image_review WHERE not_before <= :now ORDER BY not_before, app_id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

-- save_image_review --
-- A review that was taken or failed, if nobody asked for another in between.
UPDATE fun_ai_deploy_image_review
SET not_before = :not_before, attempts = :attempts, last_error = :last_error, version = :version
WHERE app_id = :app_id AND version = :was_version;

-- delete_image_review --
-- A review that is done, if nobody asked for another in between.
DELETE FROM fun_ai_deploy_image_review WHERE app_id = :app_id AND version = :version;
