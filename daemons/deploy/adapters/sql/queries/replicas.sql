-- What replicas share: who does the work that only one of them does.

-- singletons --
-- Who does what.
SELECT name, holder, epoch, held_since, lease_expire_at FROM fun_ai_deploy_singleton ORDER BY name;

-- insert_singleton --
-- The first holder of a name.
INSERT INTO fun_ai_deploy_singleton (name, holder, epoch, held_since, lease_expire_at)
VALUES (:name, :holder, :epoch, :held_since, :lease_expire_at);

-- save_singleton --
-- A renewal or a takeover, unless somebody was faster.
UPDATE fun_ai_deploy_singleton
SET holder = :holder, epoch = :epoch, held_since = :held_since, lease_expire_at = :lease_expire_at
WHERE name = :name AND epoch = :was_epoch AND holder = :was_holder AND lease_expire_at = :was_until;

-- release_singletons --
-- A replica stops: the next one need not wait for the end of its leases.
UPDATE fun_ai_deploy_singleton SET lease_expire_at = 0 WHERE holder = :holder AND lease_expire_at <> 0;

-- singleton_epoch --
-- Under which epoch somebody holds a name; a takeover waits until this transaction has ended.
SELECT epoch FROM fun_ai_deploy_singleton WHERE name = :name AND holder = :holder /*! LOCK IN SHARE MODE */;
