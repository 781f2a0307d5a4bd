-- Statements of idempotency.sql that MariaDB and MySQL say in their own way.

-- delete_expired_requests --
-- Some of the keys whose day is over; through the index, so that no other row is looked at and locked.
DELETE FROM fun_ai_deploy_idempotency WHERE expire_at <= :now ORDER BY expire_at LIMIT :limit;
