-- Statements of jobs.sql that SQLite says in its own way.

-- lock_app --
-- Make the app's row if it is new; the transaction holds the database's write lock anyway.
INSERT INTO fun_ai_deploy_app (app_id) VALUES (:app_id) ON CONFLICT (app_id) DO NOTHING;

-- raise_fence --
-- Raise the app's fence, making its row if it is new, and answer the new one.
INSERT INTO fun_ai_deploy_app (app_id, fence) VALUES (:app_id, 1)
ON CONFLICT (app_id) DO UPDATE SET fence = fence + 1
RETURNING fence;
