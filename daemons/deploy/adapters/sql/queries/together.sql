-- What several orders or reports of one transaction ask for together: the same as the statement named first in each
-- comment, for many. Jobs are locked in the order of their ids.

-- jobs_locked --
-- job_locked: these jobs.
SELECT * FROM fun_ai_deploy_job WHERE id IN (:keys) ORDER BY id /*! FOR UPDATE */;

-- jobs_named --
-- job: these jobs.
SELECT * FROM fun_ai_deploy_job WHERE id IN (:keys);

-- newest_created_of --
-- newest_created: when the newest job of each of these apps was created.
SELECT app_id, MAX(create_time) AS newest_at FROM fun_ai_deploy_job WHERE app_id IN (:keys) GROUP BY app_id;

-- active_jobs_of --
-- active_jobs: the RUNNING and the PENDING jobs of these apps.
SELECT * FROM fun_ai_deploy_job WHERE running_app IN (:keys)
UNION ALL
SELECT * FROM fun_ai_deploy_job WHERE pending_app IN (:keys);

-- ended_jobs_of --
-- ended_jobs: ids of these apps' ended jobs that gave way to no other, newest first, without the first `keep` of each.
SELECT id, app_id FROM (
    SELECT id, app_id, ROW_NUMBER() OVER (PARTITION BY app_id ORDER BY create_time DESC, id DESC) AS place
    FROM fun_ai_deploy_job
    WHERE app_id IN (:keys) AND status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND superseded_by IS NULL
) e
WHERE place > :keep ORDER BY place LIMIT :limit;

-- placements_together --
-- placement: where these apps live.
SELECT * FROM fun_ai_deploy_runtime_placement WHERE app_id IN (:keys);

-- nodes_together --
-- node: these nodes.
SELECT * FROM fun_ai_deploy_runtime_node WHERE id IN (:keys);

-- app_runs_together --
-- app_run: the last known state of these apps.
SELECT * FROM fun_ai_deploy_app_run WHERE app_id IN (:keys);

-- newest_releases_together --
-- newest_release: the newest release of each of these apps.
SELECT r.* FROM fun_ai_deploy_release r JOIN (
    SELECT app_id, MAX(number) AS number FROM fun_ai_deploy_release WHERE app_id IN (:keys) GROUP BY app_id
) n ON n.app_id = r.app_id AND n.number = r.number;
