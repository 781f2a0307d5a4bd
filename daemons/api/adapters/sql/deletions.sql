-- begin_deletion --
-- Refused by the primary key when it was begun before.
INSERT INTO fun_ai_app_deletion
    (app_id, user_id, app_name, asked_at, settled_at, parts_left, attempts, problem, next_at, done_at, repo_held_until)
VALUES (:app_id, :user_id, :app_name, :asked_at, :settled_at, :parts_left, 0, NULL, :asked_at, NULL, :repo_held_until);

-- app_to_delete --
SELECT user_id, app_name, live_since, repo_held_until FROM fun_ai_app WHERE id = :id;

-- owner_of_app --
-- Of an app that is there, or whose deletion began.
SELECT user_id FROM fun_ai_app WHERE id = :app_id
UNION ALL
SELECT user_id FROM fun_ai_app_deletion WHERE app_id = :app_id;

-- delete_result --
DELETE FROM fun_ai_app_result WHERE app_id = :app_id;

-- delete_app --
DELETE FROM fun_ai_app WHERE id = :app_id AND user_id = :user_id;

-- deletion --
SELECT app_id, user_id, app_name, asked_at, settled_at, parts_left, attempts, problem, next_at, done_at,
    repo_held_until
FROM fun_ai_app_deletion WHERE app_id = :app_id;

-- unfinished_deletions --
SELECT app_id, user_id, app_name, asked_at, settled_at, parts_left, attempts, problem, next_at, done_at,
    repo_held_until
FROM fun_ai_app_deletion WHERE done_at IS NULL ORDER BY app_id;

-- due_deletions --
SELECT app_id, user_id, app_name, asked_at, settled_at, parts_left, attempts, problem, next_at, done_at,
    repo_held_until
FROM fun_ai_app_deletion WHERE next_at <= :now ORDER BY next_at LIMIT 8;

-- hold_deletion --
-- Guarded by the moment it was due: one process gets it.
UPDATE fun_ai_app_deletion SET next_at = :until WHERE app_id = :app_id AND next_at = :next_at;

-- save_deletion --
-- Guarded by the hold: whoever held it too long finds it taken over.
UPDATE fun_ai_app_deletion
SET parts_left = :parts_left, attempts = :attempts, problem = :problem, next_at = :next_at, done_at = :done_at
WHERE app_id = :app_id AND next_at = :held;

-- forget_deletions --
DELETE FROM fun_ai_app_deletion WHERE done_at < :before;
