-- Whether the tables are ours.

-- known_tables --
-- Fails unless the tables are ours (and not those of another program under the same names).
SELECT a.fence, j.running_app, j.lease_token, j.log_expected, n.interval_seconds, p.placed_at, r.update_time
FROM fun_ai_deploy_app a, fun_ai_deploy_job j, fun_ai_deploy_runtime_node n, fun_ai_deploy_runtime_placement p,
    fun_ai_deploy_app_run r
LIMIT 0;
