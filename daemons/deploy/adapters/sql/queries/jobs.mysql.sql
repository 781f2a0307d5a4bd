-- Statements of jobs.sql that MariaDB and MySQL say in their own way.

-- lock_app --
-- Lock the app's row, making it if it is new.
INSERT INTO fun_ai_deploy_app (app_id) VALUES (:app_id) ON DUPLICATE KEY UPDATE app_id = VALUES(app_id);

-- raise_fence --
-- Lock the app's row, making it if it is new, and raise its fence; the new one is answered as the generated number.
INSERT INTO fun_ai_deploy_app (app_id, fence) VALUES (:app_id, LAST_INSERT_ID(1))
ON DUPLICATE KEY UPDATE fence = LAST_INSERT_ID(fence + 1);
