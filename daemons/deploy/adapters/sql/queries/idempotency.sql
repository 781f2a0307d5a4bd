-- Which job a request with an Idempotency-Key made.

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
