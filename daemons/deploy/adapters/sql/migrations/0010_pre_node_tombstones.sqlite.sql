CREATE TABLE IF NOT EXISTS fun_ai_deploy_node_tombstone (
    name TEXT NOT NULL PRIMARY KEY,
    node_id INTEGER NOT NULL,
    actor TEXT NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;
