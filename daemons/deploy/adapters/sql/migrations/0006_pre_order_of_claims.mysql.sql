-- Jobs have a priority, required labels and a place among those of their user; claims can be repeated; runners say what
-- they offer, and apps remember who built them.
-- Each statement may run again after a crash half-way; MySQL has no ADD COLUMN IF NOT EXISTS. Replicas of the previous
-- release leave queue_rank at 0: their jobs are first among those of their user. They also claim through the index
-- (status, create_time, id), which therefore stays.

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_job' AND column_name = 'queue_rank'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_job
    ADD COLUMN priority INT NOT NULL DEFAULT 0,
    ADD COLUMN requires_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '''',
    ADD COLUMN queue_rank BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN claim_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD KEY idx_fun_ai_deploy_job_status_rank (status, queue_rank, id),
    ADD KEY idx_fun_ai_deploy_job_status_user_rank (status, user_id, queue_rank, id),
    ADD KEY idx_fun_ai_deploy_job_status_runner (status, runner_id),
    ADD KEY idx_fun_ai_deploy_job_user_started (user_id, started_at)', 'DO 0');
PREPARE change_job FROM @change;
EXECUTE change_job;
DEALLOCATE PREPARE change_job;

UPDATE fun_ai_deploy_job SET queue_rank = create_time WHERE status IN ('PENDING', 'RUNNING') AND queue_rank = 0;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_app_run' AND column_name = 'built_by'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_app_run
    ADD COLUMN built_by VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL', 'DO 0');
PREPARE change_app_run FROM @change;
EXECUTE change_app_run;
DEALLOCATE PREPARE change_app_run;

SET @missing = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'fun_ai_deploy_runner' AND column_name = 'labels_csv'
);
SET @change = IF(@missing, 'ALTER TABLE fun_ai_deploy_runner
    ADD COLUMN labels_csv VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NULL', 'DO 0');
PREPARE change_runner FROM @change;
EXECUTE change_runner;
DEALLOCATE PREPARE change_runner;
