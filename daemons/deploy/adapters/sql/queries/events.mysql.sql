-- Statements of events.sql that MariaDB and MySQL say in their own way.

-- append_event --
-- One more event, at the database's time.
INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, source_address, body_json,
    before_json)
VALUES (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), :kind, :action, :subject, :actor, :source_address,
    :body_json, :before_json);

-- delete_events --
-- Some of the events that are too old; through the index, so that no newer row is looked at and locked.
DELETE FROM fun_ai_deploy_event WHERE create_time < :before ORDER BY create_time, seq LIMIT :limit;

-- read_uncommitted --
-- The transaction that begins with this also sees rows that are not committed yet.
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;
