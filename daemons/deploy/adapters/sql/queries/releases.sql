-- Releases, and the reviews of their images.

-- releases_before --
-- An app's releases with a lower number, newest first.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND number < :before ORDER BY number DESC LIMIT :limit;

-- newest_release --
-- An app's newest release.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id ORDER BY number DESC LIMIT 1;

-- release --
-- One release of an app.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND number = :number;

-- releases_with_images --
-- An app's releases whose image was not removed, newest first.
SELECT * FROM fun_ai_deploy_release WHERE app_id = :app_id AND image_removed_at IS NULL ORDER BY number DESC
LIMIT :limit;

-- insert_release --
-- A new release.
INSERT INTO fun_ai_deploy_release (
    app_id, number, user_id, job_id, image, image_digest, commit_sha, config_hash, payload_json, node_id, pinned,
    held_until, image_removed_at, create_time
) VALUES (
    :app_id, :number, :user_id, :job_id, :image, :image_digest, :commit_sha, :config_hash, :payload_json, :node_id,
    :pinned, :held_until, :image_removed_at, :create_time
);

-- mark_release --
-- What can change about a release: whether it is pinned, held, and still has its image.
UPDATE fun_ai_deploy_release SET pinned = :pinned, held_until = :held_until, image_removed_at = :image_removed_at
WHERE app_id = :app_id AND number = :number;

-- delete_releases --
-- Forget an app's releases.
DELETE FROM fun_ai_deploy_release WHERE app_id = :app_id;

-- image_review --
-- The review that an app waits for.
SELECT * FROM fun_ai_deploy_image_review WHERE app_id = :app_id;

-- due_image_reviews --
-- Reviews that may start, the longest waiting first, locked.
SELECT * FROM fun_ai_deploy_image_review WHERE not_before <= :now ORDER BY not_before, app_id
LIMIT :limit /*! FOR UPDATE SKIP LOCKED */;

-- save_image_review --
-- A review that was taken or failed, if nobody asked for another in between.
UPDATE fun_ai_deploy_image_review
SET not_before = :not_before, attempts = :attempts, last_error = :last_error, version = :version
WHERE app_id = :app_id AND version = :was_version;

-- delete_image_review --
-- A review that is done, if nobody asked for another in between.
DELETE FROM fun_ai_deploy_image_review WHERE app_id = :app_id AND version = :version;
