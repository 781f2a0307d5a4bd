-- When an account's password was last accepted: sessions are forgotten, this is not.
ALTER TABLE fun_ai_account ADD COLUMN last_login_time BIGINT NULL;
