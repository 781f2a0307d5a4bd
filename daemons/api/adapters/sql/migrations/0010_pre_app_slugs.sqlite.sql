-- Names of apps in the platform's address, which are nobody else's until the deletion of their app has ended.
CREATE TABLE fun_ai_app_slug (
    slug VARCHAR(40) NOT NULL PRIMARY KEY,
    app_id BIGINT NOT NULL
);

CREATE UNIQUE INDEX fun_ai_app_slug_app ON fun_ai_app_slug (app_id);
