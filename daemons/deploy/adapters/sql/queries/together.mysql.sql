-- Statements of together.sql that MariaDB and MySQL say in their own way.

-- save_jobs --
-- save_job: whole jobs, those whose rows are still the ones that the changes started from.
UPDATE (
    /*each*/SELECT
        CAST(:id AS CHAR CHARACTER SET ascii) COLLATE ascii_bin AS id, :was_version AS was_version, :status AS status,
        :payload_json AS payload_json, :attempt AS attempt, :fence AS fence, :runner_id AS runner_id, :lease_token AS
        lease_token, :lease_expire_at AS lease_expire_at, :not_before AS not_before, :started_at AS started_at,
        :confirmed_at AS confirmed_at, :finished_at AS finished_at, :phase AS phase, :phase_message AS phase_message,
        :error_message AS error_message, :reason AS reason, :image AS image, :image_digest AS image_digest,
        :commit_sha AS commit_sha, :log_expected AS log_expected, :superseded_by AS superseded_by, :claim_key AS
        claim_key, :stages_json AS stages_json, :holders_json AS holders_json, :update_time AS update_time, :version AS version/*end*/
) v STRAIGHT_JOIN fun_ai_deploy_job j ON j.id = v.id AND j.version = v.was_version
SET
    j.status = v.status, j.payload_json = v.payload_json, j.attempt = v.attempt, j.fence = v.fence, j.runner_id =
    v.runner_id, j.lease_token = v.lease_token, j.lease_expire_at = v.lease_expire_at, j.not_before = v.not_before,
    j.started_at = v.started_at, j.confirmed_at = v.confirmed_at, j.finished_at = v.finished_at, j.phase = v.phase,
    j.phase_message = v.phase_message, j.error_message = v.error_message, j.reason = v.reason, j.image = v.image,
    j.image_digest = v.image_digest, j.commit_sha = v.commit_sha, j.log_expected = v.log_expected, j.superseded_by =
    v.superseded_by, j.claim_key = v.claim_key, j.stages_json = v.stages_json, j.holders_json = v.holders_json,
    j.update_time = v.update_time, j.version = v.version;
