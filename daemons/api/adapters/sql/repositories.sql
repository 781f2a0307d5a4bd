-- due_repositories --
SELECT id, user_id, repo_begun, repo_attempts, repo_next_at, repo_held_until
FROM fun_ai_app
WHERE repo_next_at <= :now AND (repo_held_until IS NULL OR repo_held_until <= :now)
ORDER BY repo_next_at LIMIT 8;

-- hold_repository --
-- Guarded by what was read: one process gets it.
UPDATE fun_ai_app SET repo_held_until = :until
WHERE id = :id AND repo_next_at = :next_at AND (repo_held_until IS NULL OR repo_held_until <= :now);

-- save_repository --
-- Guarded by the hold: whoever held it too long finds it taken over. Wanted anew meanwhile: it is looked at again.
UPDATE fun_ai_app
SET repo_status = :status, repo_reason = :reason, repo_attempts = :attempts, repo_begun = :begun,
    repo_next_at = CASE WHEN repo_next_at = :was_next_at THEN :next_at ELSE repo_next_at END, repo_held_until = NULL
WHERE id = :id AND repo_held_until = :held;

-- let_deleted_repository --
-- The app was deleted meanwhile: whoever removes its repository need not wait any longer.
UPDATE fun_ai_app_deletion SET repo_held_until = NULL WHERE app_id = :id AND repo_held_until = :held;

-- want_repository --
UPDATE fun_ai_app SET repo_next_at = :now WHERE id = :id;
