-- Who does the work that only one replica does, until when.

CREATE TABLE IF NOT EXISTS fun_ai_deploy_singleton (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    held_since INTEGER NOT NULL,
    lease_expire_at INTEGER NOT NULL
) STRICT;
