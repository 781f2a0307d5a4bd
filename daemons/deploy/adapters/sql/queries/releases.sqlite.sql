-- Statements of releases.sql that SQLite says in its own way.

-- ask_image_review --
-- Have an app's images reviewed; one that is asked for again starts over.
INSERT INTO fun_ai_deploy_image_review (app_id, user_id, not_before, attempts, last_error, version)
VALUES (:app_id, :user_id, :not_before, 0, NULL, 1)
ON CONFLICT (app_id) DO UPDATE SET
    user_id = :user_id, not_before = :not_before, attempts = 0, last_error = NULL, version = version + 1;
