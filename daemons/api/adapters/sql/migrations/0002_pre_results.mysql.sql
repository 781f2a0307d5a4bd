-- How the newest job of each app ended, as the control plane told. Times are those of its database.
CREATE TABLE fun_ai_app_result (
    app_id BIGINT NOT NULL PRIMARY KEY,
    job_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    error MEDIUMTEXT,
    url VARCHAR(2048),
    job_create_time BIGINT NOT NULL,
    job_end_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Which deliveries of results were taken.
CREATE TABLE fun_ai_deploy_delivery (
    id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    create_time BIGINT NOT NULL,
    KEY fun_ai_deploy_delivery_create_time (create_time)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
