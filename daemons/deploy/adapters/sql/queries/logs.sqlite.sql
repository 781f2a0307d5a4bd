-- Statements of logs.sql that SQLite says in its own way.

-- grow_log --
-- A log is kept, and takes so many bytes more.
INSERT INTO fun_ai_deploy_log (job_id, stored_bytes, ended_at) VALUES (:job_id, :more, NULL)
ON CONFLICT (job_id) DO UPDATE SET stored_bytes = stored_bytes + :more;

-- insert_log_segment --
-- One more segment.
INSERT INTO fun_ai_deploy_log_segment (job_id, start_offset, packed, content)
VALUES (:job_id, :start_offset, :packed, :content);

-- put_log_part --
-- A part that is closed, or that got more bytes later.
INSERT INTO fun_ai_deploy_log_part (job_id, holder, attempt, received, end_offset, gap, whole, closed_at)
VALUES (:job_id, :holder, :attempt, :received, :end_offset, :gap, :whole, :closed_at)
ON CONFLICT (job_id, holder) DO UPDATE SET received = :received, end_offset = :end_offset, whole = :whole;
