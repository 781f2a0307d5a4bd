-- Statements of operations.sql that SQLite says in its own way.

-- forget_operations --
-- Some of the operations that ended long ago.
DELETE FROM fun_ai_deploy_operation WHERE id IN (
    SELECT id FROM fun_ai_deploy_operation WHERE finished_at < :before ORDER BY finished_at LIMIT :limit
);
