-- app_to_lend_for --
SELECT user_id FROM fun_ai_app WHERE id = :id;

-- count_git_loans --
SELECT COUNT(*) AS found FROM fun_ai_git_loan WHERE app_id = :app_id;

-- add_git_loan --
-- Refused by the primary key when the key was lent before.
INSERT INTO fun_ai_git_loan
    (fingerprint, user_id, app_id, node, repository, expires_at, settled_at, attempts, problem, next_at)
VALUES (:fingerprint, :user_id, :app_id, :node, :repository, :expires_at, :settled_at, 0, NULL, :expires_at);

-- git_loan --
SELECT fingerprint, user_id, app_id, node, repository, expires_at, settled_at, attempts, problem, next_at
FROM fun_ai_git_loan WHERE fingerprint = :fingerprint /*! FOR UPDATE */;

-- settle_git_loan --
-- Of one that ended meanwhile the key may have come after somebody looked for it.
UPDATE fun_ai_git_loan
SET settled_at = :now, next_at = CASE WHEN expires_at <= :now THEN :now ELSE next_at END
WHERE fingerprint = :fingerprint;

-- end_git_loan --
UPDATE fun_ai_git_loan SET expires_at = :expires_at, next_at = :next_at WHERE fingerprint = :fingerprint;

-- end_git_loans_of_app --
UPDATE fun_ai_git_loan SET expires_at = :now, next_at = :now WHERE app_id = :app_id AND expires_at > :now;

-- git_loans_of_app --
SELECT fingerprint FROM fun_ai_git_loan WHERE app_id = :app_id AND user_id = :user_id AND node = :node;

-- due_git_loans --
SELECT fingerprint, next_at FROM fun_ai_git_loan WHERE next_at <= :now ORDER BY next_at LIMIT 8;

-- hold_git_loan --
-- Guarded by the moment it was due: one process gets it.
UPDATE fun_ai_git_loan SET next_at = :until WHERE fingerprint = :fingerprint AND next_at = :next_at;

-- save_git_loan --
-- Guarded by the hold: whoever held it too long finds it taken over.
UPDATE fun_ai_git_loan SET attempts = :attempts, problem = :problem, next_at = :next_at
WHERE fingerprint = :fingerprint AND next_at = :held;

-- forget_git_loan --
DELETE FROM fun_ai_git_loan WHERE fingerprint = :fingerprint AND next_at = :held;

-- apps_beyond --
SELECT id, user_id FROM fun_ai_app WHERE id > :beyond ORDER BY id LIMIT :most;
