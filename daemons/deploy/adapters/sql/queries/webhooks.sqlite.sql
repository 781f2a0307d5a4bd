-- Statements of webhooks.sql that SQLite says in its own way.

-- forget_deliveries --
-- Some of the deliveries that ended long ago.
DELETE FROM fun_ai_deploy_webhook WHERE id IN (
    SELECT id FROM fun_ai_deploy_webhook WHERE finished_at < :before ORDER BY finished_at LIMIT :limit
);
