-- Which database server has the history, and since which promotion.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_history (
    id INTEGER NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    server TEXT NOT NULL,
    raised_at INTEGER NOT NULL
) STRICT;
