-- add_domain --
-- Refused by the primary key when the app says so already.
INSERT INTO fun_ai_app_domain (host, app_id, proof, verified_host, verified_at, create_time)
VALUES (:host, :app_id, :proof, NULL, NULL, :now);

-- domain --
SELECT host, app_id, proof, verified_at, create_time FROM fun_ai_app_domain WHERE host = :host AND app_id = :app_id;

-- domains_of_app --
SELECT host, app_id, proof, verified_at, create_time FROM fun_ai_app_domain WHERE app_id = :app_id ORDER BY host;

-- domain_holder --
SELECT host, app_id, proof, verified_at, create_time FROM fun_ai_app_domain WHERE verified_host = :host;

-- verified_domains --
SELECT host, app_id, proof, verified_at, create_time
FROM fun_ai_app_domain WHERE verified_host IS NOT NULL ORDER BY verified_host;

-- verify_domain --
-- Refused by the unique index while the host is another app's.
UPDATE fun_ai_app_domain SET verified_host = host, verified_at = :now WHERE host = :host AND app_id = :app_id;

-- release_domain --
UPDATE fun_ai_app_domain SET verified_host = NULL, verified_at = NULL WHERE host = :host AND app_id = :app_id;

-- remove_domain --
DELETE FROM fun_ai_app_domain WHERE host = :host AND app_id = :app_id;

-- forget_domains --
DELETE FROM fun_ai_app_domain WHERE app_id = :app_id;
