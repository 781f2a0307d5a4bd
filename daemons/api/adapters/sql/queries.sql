-- add_user --
-- The demo user, or any other that settings name. Refused by the primary key when it is there.
INSERT INTO fun_ai_user (id, user_name, user_type, create_time, update_time)
VALUES (:id, :user_name, 0, :now, :now);

-- user --
SELECT id, user_name, user_type FROM fun_ai_user WHERE id = :id;

-- lock_user --
-- Serialises everything that counts a user's rows. SQLite's transactions hold the only write lock anyway.
SELECT id FROM fun_ai_user WHERE id = :id /*! FOR UPDATE */;

-- add_app --
-- Refused by unique indexes on (user_id, app_name) and (user_id, create_key).
INSERT INTO fun_ai_app (user_id, app_name, app_description, app_type, create_key, create_time, update_time)
VALUES (:user_id, :app_name, :app_description, :app_type, :create_key, :now, :now);

-- update_app --
-- Refused by the unique index on (user_id, app_name).
UPDATE fun_ai_app
SET app_name = :app_name, app_description = :app_description, app_type = :app_type, update_time = :now
WHERE id = :id;

-- app --
SELECT id, user_id, app_name, app_description, app_type, live_since, stopped_job, create_time, update_time,
    repo_status, repo_reason, slug
FROM fun_ai_app LEFT JOIN fun_ai_app_slug ON app_id = id WHERE id = :id;

-- app_by_key --
-- The app that an earlier request with the same idempotency key made.
SELECT id, user_id, app_name, app_description, app_type, live_since, stopped_job, create_time, update_time,
    repo_status, repo_reason, slug
FROM fun_ai_app LEFT JOIN fun_ai_app_slug ON app_id = id WHERE user_id = :user_id AND create_key = :create_key;

-- apps_of_user --
SELECT id, user_id, app_name, app_description, app_type, live_since, stopped_job, create_time, update_time,
    repo_status, repo_reason, slug
FROM fun_ai_app LEFT JOIN fun_ai_app_slug ON app_id = id WHERE user_id = :user_id ORDER BY id;

-- all_apps --
SELECT id, user_id, app_name, app_description, app_type, live_since, stopped_job, create_time, update_time,
    repo_status, repo_reason, slug
FROM fun_ai_app LEFT JOIN fun_ai_app_slug ON app_id = id ORDER BY id;

-- count_live --
-- Other apps of the user that hold a place.
SELECT COUNT(*) AS taken FROM fun_ai_app WHERE user_id = :user_id AND live_since IS NOT NULL AND id <> :id;

-- take_place --
UPDATE fun_ai_app SET live_since = :now, update_time = :now WHERE id = :id;

-- leave_place --
-- Guarded by the moment it was taken: a place that was taken anew stays.
UPDATE fun_ai_app SET live_since = NULL WHERE id = :id AND live_since = :taken_at;

-- mark_stopped --
UPDATE fun_ai_app SET stopped_job = :job_id, update_time = :now WHERE id = :id;

-- add_key --
-- Refused by the unique index on the fingerprint: a key stands for one person.
INSERT INTO fun_ai_user_git_key (user_id, title, public_key, fingerprint, create_time)
VALUES (:user_id, :title, :public_key, :fingerprint, :now);

-- count_keys --
SELECT COUNT(*) AS held FROM fun_ai_user_git_key WHERE user_id = :user_id;

-- keys_of_user --
SELECT id, user_id, title, public_key, fingerprint, create_time
FROM fun_ai_user_git_key WHERE user_id = :user_id ORDER BY id;

-- all_keys --
SELECT id, user_id, title, public_key, fingerprint, create_time FROM fun_ai_user_git_key ORDER BY id;

-- remove_key --
DELETE FROM fun_ai_user_git_key WHERE id = :id AND user_id = :user_id;

-- lock_app --
-- Results of one app are taken one after the other.
SELECT id FROM fun_ai_app WHERE id = :id /*! FOR UPDATE */;

-- add_delivery --
-- Refused by the primary key when it was taken before.
INSERT INTO fun_ai_deploy_delivery (id, create_time) VALUES (:id, :now);

-- forget_deliveries --
DELETE FROM fun_ai_deploy_delivery WHERE create_time < :before;

-- result --
SELECT job_id, status, error, url, job_create_time, job_end_time FROM fun_ai_app_result WHERE app_id = :app_id;

-- results_of --
SELECT app_id, job_id, status, error, url, job_create_time, job_end_time
FROM fun_ai_app_result WHERE app_id IN (:app_ids);

-- add_result --
INSERT INTO fun_ai_app_result (app_id, job_id, status, error, url, job_create_time, job_end_time, update_time)
VALUES (:app_id, :job_id, :status, :error, :url, :job_create_time, :job_end_time, :now);

-- save_result --
UPDATE fun_ai_app_result
SET job_id = :job_id, status = :status, error = :error, url = :url, job_create_time = :job_create_time,
    job_end_time = :job_end_time, update_time = :now
WHERE app_id = :app_id;
