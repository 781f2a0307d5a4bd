-- Apps as wholes: which there are, and what is known of a page of them.

-- app_ids --
-- Apps that live somewhere, ran, or have an active job. Each branch stops at the page's end.
SELECT app_id FROM (
    SELECT app_id FROM fun_ai_deploy_runtime_placement WHERE app_id > :after ORDER BY app_id LIMIT :limit
) AS placed
UNION
SELECT app_id FROM (
    SELECT app_id FROM fun_ai_deploy_app_run WHERE app_id > :after ORDER BY app_id LIMIT :limit
) AS ran
UNION
SELECT app_id FROM (
    SELECT pending_app AS app_id FROM fun_ai_deploy_job WHERE pending_app > :after ORDER BY pending_app LIMIT :limit
) AS waiting
ORDER BY app_id
LIMIT :limit;

-- app_ids_of_node --
-- Apps that live on a node, or that it still has something to do about.
SELECT app_id FROM (
    SELECT app_id FROM fun_ai_deploy_runtime_placement WHERE node_id = :node_id AND app_id > :after
    ORDER BY app_id LIMIT :limit
) AS placed
UNION
SELECT app_id FROM (
    SELECT app_id FROM fun_ai_deploy_operation WHERE node_id = :node_id AND state = 'PENDING' AND app_id > :after
    ORDER BY app_id LIMIT :limit
) AS asked
ORDER BY app_id
LIMIT :limit;

-- app_ids_of_user --
-- Apps that a user has jobs of.
SELECT DISTINCT app_id FROM fun_ai_deploy_job WHERE user_id = :user_id AND app_id > :after
ORDER BY app_id
LIMIT :limit;

-- app_runs_of --
-- The last known state of these apps.
SELECT * FROM fun_ai_deploy_app_run WHERE app_id IN (:app_ids);

-- owners_of --
-- Whose these apps are: the user of a job.
SELECT app_id, MAX(user_id) AS user_id FROM fun_ai_deploy_job WHERE app_id IN (:app_ids) GROUP BY app_id;

-- pending_operations_of --
-- What is still to be done about these apps.
SELECT * FROM fun_ai_deploy_operation WHERE app_id IN (:app_ids) AND state = 'PENDING' ORDER BY id;
