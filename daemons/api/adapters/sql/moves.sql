-- add_workspace_move --
-- Refused by the unique index while another move of the user goes on.
INSERT INTO fun_ai_workspace_move
    (user_id, active_user, source_node_id, target_node_id, epoch, state, skipped, error, create_time, update_time)
VALUES (:user_id, :user_id, :source_node_id, :target_node_id, :epoch, 'QUEUED', '[]', '', :now, :now);

-- add_workspace_restore --
-- It is taken back, unless who has it says in time that it came through.
INSERT INTO fun_ai_workspace_move
    (user_id, active_user, source_node_id, epoch, state, skipped, error, owner, lease_until, create_time, update_time)
VALUES (:user_id, :user_id, :source_node_id, :epoch, 'ROLLING_BACK', '[]', :error, :owner, :until, :now, :now);

-- workspace_move --
SELECT * FROM fun_ai_workspace_move WHERE id = :id;

-- workspace_moves --
SELECT * FROM fun_ai_workspace_move
WHERE (:node_id = 0 OR source_node_id = :node_id OR target_node_id = :node_id) AND state IN (:states)
ORDER BY id DESC LIMIT :most OFFSET :skipped;

-- count_workspace_moves --
SELECT COUNT(*) AS found FROM fun_ai_workspace_move
WHERE (:node_id = 0 OR source_node_id = :node_id OR target_node_id = :node_id) AND state IN (:states);

-- workspace_moves_due --
-- Those that nobody works on, the oldest first: ones that were begun before ones that wait.
SELECT * FROM fun_ai_workspace_move
WHERE state IN (:states) AND (owner = '' OR lease_until < :now)
ORDER BY CASE WHEN state = 'QUEUED' THEN 1 ELSE 0 END, id LIMIT :most;

-- workspace_moves_kept --
SELECT * FROM fun_ai_workspace_move WHERE state = 'KEEPING' AND keep_until < :now ORDER BY id LIMIT :most;

-- claim_workspace_move --
UPDATE fun_ai_workspace_move SET owner = :owner, lease_until = :until
WHERE id = :id AND state IN (:states) AND (owner = '' OR owner = :owner OR lease_until < :now);

-- renew_workspace_move --
UPDATE fun_ai_workspace_move SET lease_until = :until WHERE id = :id AND owner = :owner;

-- release_workspace_move --
UPDATE fun_ai_workspace_move SET owner = '', lease_until = 0 WHERE id = :id AND owner = :owner;

-- save_workspace_move --
-- Guarded by whoever works on it and by where it was: of two that think they do, one finds that it is over.
UPDATE fun_ai_workspace_move
SET state = :state, active_user = :active_user, target_node_id = :target_node_id, passes = :passes,
    copied_files = :copied_files, copied_bytes = :copied_bytes, total_bytes = :total_bytes, skipped = :skipped,
    error = :error, frozen_at = :frozen_at, frozen_ms = :frozen_ms, keep_until = :keep_until, ended_at = :ended_at,
    update_time = :now
WHERE id = :id AND owner = :owner AND state = :was;

-- note_workspace_move --
UPDATE fun_ai_workspace_move SET copied_bytes = :copied_bytes, update_time = :now WHERE id = :id AND owner = :owner;

-- cancel_workspace_move --
UPDATE fun_ai_workspace_move SET cancelled = 1, update_time = :now WHERE id = :id AND state IN (:states);

-- switch_workspace_move --
-- The switch of the placement is in the same transaction.
UPDATE fun_ai_workspace_move SET state = 'SWITCHED', frozen_ms = :now - frozen_at, update_time = :now
WHERE id = :id AND owner = :owner AND state = 'SETTLING' AND cancelled = 0;

-- switch_workspace_placement --
UPDATE fun_ai_workspace_placement SET node_id = :target_node_id, epoch = epoch + 1, update_time = :now
WHERE user_id = :user_id AND node_id = :source_node_id AND epoch = :epoch;

-- cordon_workspace_node --
UPDATE fun_ai_workspace_node SET cordoned = :cordoned, update_time = :now WHERE id = :id;
