-- Statements of events.sql that SQLite says in its own way.

-- append_event --
-- One more event, at the database's time.
INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, source_address, body_json,
    before_json)
VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), :kind, :action, :subject, :actor, :source_address,
    :body_json, :before_json);

-- delete_events --
-- Some of the events that are too old.
DELETE FROM fun_ai_deploy_event WHERE seq IN (
    SELECT seq FROM fun_ai_deploy_event WHERE create_time < :before ORDER BY create_time, seq LIMIT :limit
);

-- read_uncommitted --
-- Transactions follow each other here: there is nothing uncommitted to be seen.
SELECT 1;
