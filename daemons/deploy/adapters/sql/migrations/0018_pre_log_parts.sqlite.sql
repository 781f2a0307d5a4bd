-- Parts of logs that were closed before all of their bytes came, by who held the attempt; a runner may bring the rest.
CREATE TABLE IF NOT EXISTS fun_ai_deploy_log_part (
    job_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    received INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    closed_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, holder)
) STRICT;
