-- Statements of webhooks.sql that MariaDB and MySQL say in their own way.

-- forget_deliveries --
-- Some of the deliveries that ended long ago; through the index, so that no newer row is looked at and locked.
DELETE FROM fun_ai_deploy_webhook WHERE finished_at < :before ORDER BY finished_at LIMIT :limit;
