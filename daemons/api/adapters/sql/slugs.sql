-- hold_slug --
-- Refused by the primary key while any app has it, and by the unique index while the app has another.
INSERT INTO fun_ai_app_slug (slug, app_id) VALUES (:slug, :app_id);

-- leave_slug --
DELETE FROM fun_ai_app_slug WHERE app_id = :app_id;

-- slug_holder --
-- Also an app whose deletion has not ended.
SELECT app_id FROM fun_ai_app_slug WHERE slug = :slug;
