-- SHA-256 over the account and everything that decides the pixels; only where the request named its seed.
ALTER TABLE generations ADD COLUMN cache_key TEXT;
-- The generation under way whose pictures this one will share.
ALTER TABLE generations ADD COLUMN leader_id TEXT;
CREATE INDEX generations_by_cache_key ON generations (cache_key, id) WHERE cache_key IS NOT NULL;
CREATE INDEX generations_by_leader ON generations (leader_id, id) WHERE leader_id IS NOT NULL;
-- Whether anybody still refers to an object.
CREATE INDEX images_by_object ON images (object_key);

-- A generation that takes its pictures from the cache succeeds as it is made.
CREATE TRIGGER usage_of_cached AFTER INSERT ON generations
WHEN NEW.status = 'succeeded' AND NEW.cached = 1
BEGIN
  INSERT INTO usage (account_id, day, key_id, generations, images, cached)
  VALUES (NEW.account_id, strftime('%Y-%m-%d', NEW.completed_at / 1000, 'unixepoch'), NEW.key_id, 1, 0, 1)
  ON CONFLICT (account_id, day, key_id) DO UPDATE SET
    generations = generations + excluded.generations,
    cached = cached + excluded.cached;
END;

-- Answers to requests with an Idempotency-Key. generation_id null: it was deleted. response null: not answered yet.
CREATE TABLE idempotency (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  generation_id TEXT,
  status INTEGER,
  response TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_at);
CREATE INDEX idempotency_by_generation ON idempotency (generation_id) WHERE generation_id IS NOT NULL;
