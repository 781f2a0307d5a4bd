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
