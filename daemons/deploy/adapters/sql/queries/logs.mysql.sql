-- Statements of logs.sql that MariaDB and MySQL say in their own way.

-- grow_log --
-- A log is kept, and takes so many bytes more.
INSERT INTO fun_ai_deploy_log (job_id, stored_bytes, ended_at) VALUES (:job_id, :more, NULL)
ON DUPLICATE KEY UPDATE stored_bytes = stored_bytes + :more;

-- insert_log_segment --
-- One more segment.
INSERT INTO fun_ai_deploy_log_segment (job_id, start_offset, packed, content)
VALUES (:job_id, :start_offset, :packed, UNHEX(:content));

-- put_log_part --
-- A part that is closed, or that got more bytes later.
INSERT INTO fun_ai_deploy_log_part (job_id, holder, attempt, received, end_offset, gap, whole, closed_at)
VALUES (:job_id, :holder, :attempt, :received, :end_offset, :gap, :whole, :closed_at)
ON DUPLICATE KEY UPDATE received = :received, end_offset = :end_offset, whole = :whole;
