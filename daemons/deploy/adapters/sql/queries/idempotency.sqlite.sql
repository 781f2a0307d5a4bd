-- Statements of idempotency.sql that SQLite says in its own way.

-- delete_expired_requests --
-- Some of the keys whose day is over.
DELETE FROM fun_ai_deploy_idempotency WHERE rowid IN (
    SELECT rowid FROM fun_ai_deploy_idempotency WHERE expire_at <= :now ORDER BY expire_at LIMIT :limit
);
