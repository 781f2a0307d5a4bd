-- push_of --
SELECT app_id, enabled, branches, delivery, branch, commit_id, received_at, attempts, problem, job_id, next_at, held_until
FROM fun_ai_app_push WHERE app_id = :app_id;

-- add_push_rule --
INSERT INTO fun_ai_app_push (app_id, enabled, branches, attempts) VALUES (:app_id, :enabled, :branches, 0);

-- save_push_rule --
UPDATE fun_ai_app_push SET enabled = :enabled, branches = :branches WHERE app_id = :app_id;

-- take_push --
-- In place of the one before. Whoever is at that one keeps its hold: jobs are made in the order of the pushes.
UPDATE fun_ai_app_push
SET delivery = :delivery, branch = :branch, commit_id = :commit_id, received_at = :now, attempts = 0, problem = NULL,
    job_id = NULL, next_at = :now
WHERE app_id = :app_id;

-- due_pushes --
SELECT app_id, enabled, branches, delivery, branch, commit_id, received_at, attempts, problem, job_id, next_at, held_until
FROM fun_ai_app_push
WHERE next_at <= :now AND (held_until IS NULL OR held_until <= :now)
ORDER BY next_at LIMIT 8;

-- hold_push --
-- Guarded by what was read: one process gets it.
UPDATE fun_ai_app_push SET held_until = :until
WHERE app_id = :app_id AND delivery = :delivery AND next_at = :next_at AND (held_until IS NULL OR held_until <= :now);

-- save_push --
-- Guarded by the hold, and by the push: a newer one stays as it is.
UPDATE fun_ai_app_push
SET attempts = :attempts, problem = :problem, job_id = :job_id, next_at = :next_at, held_until = NULL
WHERE app_id = :app_id AND delivery = :delivery AND held_until = :held;

-- let_push --
UPDATE fun_ai_app_push SET held_until = NULL WHERE app_id = :app_id AND held_until = :held;

-- delete_push --
DELETE FROM fun_ai_app_push WHERE app_id = :app_id;

-- add_git_delivery --
-- Refused by the primary key when it was taken before.
INSERT INTO fun_ai_git_delivery (id, create_time) VALUES (:id, :now);

-- forget_git_deliveries --
DELETE FROM fun_ai_git_delivery WHERE create_time < :before;
