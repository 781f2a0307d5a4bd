-- add_account --
-- Refused by the primary key and by the unique index on the name.
INSERT INTO fun_ai_account (user_id, login_name, password_hash, enabled, create_time, update_time)
VALUES (:user_id, :login_name, :password_hash, 1, :now, :now);

-- next_user --
-- Users are never deleted, so nobody gets an id that was somebody's. Two at once: the primary key refuses one.
SELECT COALESCE(MAX(id), 0) + 1 AS next FROM fun_ai_user;

-- set_role --
UPDATE fun_ai_user SET user_type = :user_type, update_time = :now WHERE id = :user_id;

-- account --
SELECT a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time
FROM fun_ai_account a JOIN fun_ai_user u ON u.id = a.user_id WHERE a.user_id = :user_id;

-- account_named --
SELECT a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time, a.password_hash
FROM fun_ai_account a JOIN fun_ai_user u ON u.id = a.user_id WHERE a.login_name = :login_name;

-- accounts --
SELECT a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time
FROM fun_ai_account a JOIN fun_ai_user u ON u.id = a.user_id ORDER BY a.user_id LIMIT :most OFFSET :offset;

-- lock_account --
-- A session begins before the account's others end, or after.
SELECT user_id, enabled, password_hash FROM fun_ai_account WHERE user_id = :user_id /*! FOR UPDATE */;

-- enable_account --
UPDATE fun_ai_account SET enabled = :enabled, update_time = :now WHERE user_id = :user_id;

-- set_password --
UPDATE fun_ai_account SET password_hash = :password_hash, update_time = :now WHERE user_id = :user_id;

-- add_session --
INSERT INTO fun_ai_session (id, user_id, expire_time, create_time) VALUES (:id, :user_id, :expire_time, :now);

-- note_login --
UPDATE fun_ai_account SET last_login_time = :now WHERE user_id = :user_id;

-- lock_session --
SELECT id FROM fun_ai_session WHERE id = :id /*! FOR UPDATE */;

-- session --
SELECT s.id, s.expire_time, a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time
FROM fun_ai_session s JOIN fun_ai_account a ON a.user_id = s.user_id JOIN fun_ai_user u ON u.id = s.user_id
WHERE s.id = :id;

-- add_refresh_token --
INSERT INTO fun_ai_refresh_token (token_hash, session_id, expire_time, create_time)
VALUES (:token_hash, :session_id, :expire_time, :now);

-- refresh_token --
SELECT session_id, expire_time, spent_time FROM fun_ai_refresh_token WHERE token_hash = :token_hash;

-- spend_refresh_token --
-- Guarded: of two uses at once one finds that it is spent.
UPDATE fun_ai_refresh_token SET spent_time = :now WHERE token_hash = :token_hash AND spent_time IS NULL;

-- end_session --
DELETE FROM fun_ai_session WHERE id = :id;

-- end_tokens --
DELETE FROM fun_ai_refresh_token WHERE session_id = :id;

-- sessions_of --
SELECT id FROM fun_ai_session WHERE user_id = :user_id ORDER BY create_time, id;

-- ended_sessions --
SELECT id FROM fun_ai_session WHERE expire_time < :now ORDER BY expire_time LIMIT 500;

-- add_api_key --
INSERT INTO fun_ai_api_key (user_id, title, user_type, key_hash, expire_time, create_time)
VALUES (:user_id, :title, :user_type, :key_hash, :expire_time, :now);

-- count_api_keys --
SELECT COUNT(*) AS held FROM fun_ai_api_key WHERE user_id = :user_id;

-- api_keys_of --
SELECT id, user_id, title, user_type, expire_time, create_time FROM fun_ai_api_key WHERE user_id = :user_id ORDER BY id;

-- api_key --
SELECT k.id, k.title, k.user_type AS key_type, k.expire_time, k.create_time AS key_time,
    a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time
FROM fun_ai_api_key k JOIN fun_ai_account a ON a.user_id = k.user_id JOIN fun_ai_user u ON u.id = k.user_id
WHERE k.key_hash = :key_hash;

-- remove_api_key --
DELETE FROM fun_ai_api_key WHERE id = :id AND user_id = :user_id;
