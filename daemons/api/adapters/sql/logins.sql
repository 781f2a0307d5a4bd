-- lock_login_failure --
SELECT owed_until FROM fun_ai_login_failure WHERE name_hash = :name_hash /*! FOR UPDATE */;

-- add_login_failure --
-- Refused by the primary key when another process was first.
INSERT INTO fun_ai_login_failure (name_hash, owed_until) VALUES (:name_hash, :owed_until);

-- set_login_failure --
UPDATE fun_ai_login_failure SET owed_until = :owed_until WHERE name_hash = :name_hash;

-- give_back_login_failure --
UPDATE fun_ai_login_failure SET owed_until = owed_until - :interval_ms WHERE name_hash = :name_hash;

-- forget_login_failures --
DELETE FROM fun_ai_login_failure WHERE owed_until < :now;

-- add_identity_attempt --
INSERT INTO fun_ai_identity_attempt (state_hash, browser_hash, nonce, verifier, expire_time)
VALUES (:state_hash, :browser_hash, :nonce, :verifier, :expire_time);

-- identity_attempt --
SELECT nonce, verifier, expire_time FROM fun_ai_identity_attempt
WHERE state_hash = :state_hash AND browser_hash = :browser_hash;

-- take_identity_attempt --
DELETE FROM fun_ai_identity_attempt WHERE state_hash = :state_hash AND browser_hash = :browser_hash;

-- forget_identity_attempts --
DELETE FROM fun_ai_identity_attempt WHERE expire_time < :now;

-- identity --
SELECT a.user_id, a.login_name, u.user_type, a.enabled, a.create_time, a.last_login_time, a.password_hash
FROM fun_ai_identity i JOIN fun_ai_account a ON a.user_id = i.user_id JOIN fun_ai_user u ON u.id = i.user_id
WHERE i.identity_hash = :identity_hash;

-- add_identity --
-- Refused by the primary key when the identity was given an account meanwhile.
INSERT INTO fun_ai_identity (identity_hash, user_id, issuer, subject, create_time)
VALUES (:identity_hash, :user_id, :issuer, :subject, :now);
