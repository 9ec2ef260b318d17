-- What the cache looks for: a picture for the same user and metadata, else any that is done, else one under way. Each is
-- found at once, however many share the key. The conditions stand in the queries as they stand here.
DROP INDEX generations_by_cache_key;
CREATE INDEX generations_done ON generations (cache_key, user, metadata, id)
WHERE status = 'succeeded' AND cache_key IS NOT NULL;
CREATE INDEX generations_leading ON generations (cache_key, id)
WHERE status IN ('queued', 'running') AND leader_id IS NULL AND cache_key IS NOT NULL;

-- What lists are narrowed to. Without rows for the common case, a success for nobody in particular: each costs a write.
CREATE INDEX generations_by_user ON generations (account_id, user, id) WHERE user IS NOT NULL;
CREATE INDEX generations_by_failure ON generations (account_id, status, id) WHERE status IN ('failed', 'canceled');
