-- Names of apps in the platform's address, which are nobody else's until the deletion of their app has ended.
CREATE TABLE fun_ai_app_slug (
    slug VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    app_id BIGINT NOT NULL,
    UNIQUE KEY fun_ai_app_slug_app (app_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
