-- How the newest job of each app ended, as the control plane told. Times are those of its database.
CREATE TABLE fun_ai_app_result (
    app_id BIGINT NOT NULL PRIMARY KEY,
    job_id VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    error TEXT,
    url VARCHAR(2048),
    job_create_time BIGINT NOT NULL,
    job_end_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Which deliveries of results were taken.
CREATE TABLE fun_ai_deploy_delivery (
    id VARCHAR(128) NOT NULL PRIMARY KEY,
    create_time BIGINT NOT NULL
);

CREATE INDEX fun_ai_deploy_delivery_create_time ON fun_ai_deploy_delivery (create_time);
