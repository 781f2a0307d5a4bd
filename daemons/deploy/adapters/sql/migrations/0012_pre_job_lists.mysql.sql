-- The jobs of one user are listed a page at a time.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job'
        AND index_name = 'idx_fun_ai_deploy_job_user_create_time'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job
    ADD KEY idx_fun_ai_deploy_job_user_create_time (user_id, create_time, id)', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;
