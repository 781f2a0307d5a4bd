-- Statements of together.sql that SQLite says in its own way.

-- save_jobs --
-- save_job: whole jobs, those whose rows are still the ones that the changes started from.
UPDATE fun_ai_deploy_job
SET
    status = v.status, payload_json = v.payload_json, attempt = v.attempt, fence = v.fence, runner_id = v.runner_id,
    lease_token = v.lease_token, lease_expire_at = v.lease_expire_at, not_before = v.not_before, started_at =
    v.started_at, confirmed_at = v.confirmed_at, finished_at = v.finished_at, phase = v.phase, phase_message =
    v.phase_message, error_message = v.error_message, reason = v.reason, image = v.image, image_digest =
    v.image_digest, commit_sha = v.commit_sha, log_expected = v.log_expected, superseded_by = v.superseded_by,
    claim_key = v.claim_key, stages_json = v.stages_json, holders_json = v.holders_json, update_time = v.update_time,
    version = v.version
FROM (
    /*each*/SELECT
        :id AS id, :was_version AS was_version, :status AS status, :payload_json AS payload_json, :attempt AS attempt,
        :fence AS fence, :runner_id AS runner_id, :lease_token AS lease_token, :lease_expire_at AS lease_expire_at,
        :not_before AS not_before, :started_at AS started_at, :confirmed_at AS confirmed_at, :finished_at AS
        finished_at, :phase AS phase, :phase_message AS phase_message, :error_message AS error_message, :reason AS
        reason, :image AS image, :image_digest AS image_digest, :commit_sha AS commit_sha, :log_expected AS
        log_expected, :superseded_by AS superseded_by, :claim_key AS claim_key, :stages_json AS stages_json,
        :holders_json AS holders_json, :update_time AS update_time, :version AS version/*end*/
) v
WHERE fun_ai_deploy_job.id = v.id AND fun_ai_deploy_job.version = v.was_version;
