-- What an account may use, JSON; the keys' own limits stand in keys.limits.
ALTER TABLE accounts ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
-- Whether the limits object holds a place for this generation, which its end must give back.
ALTER TABLE generations ADD COLUMN metered INTEGER NOT NULL DEFAULT 0;
-- Whether the pictures were drawn for another request.
ALTER TABLE generations ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;

-- What succeeded, per UTC day; no prompts, so it survives them.
CREATE TABLE usage (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  day TEXT NOT NULL,
  key_id TEXT NOT NULL,
  generations INTEGER NOT NULL,
  images INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  PRIMARY KEY (account_id, day, key_id)
) STRICT, WITHOUT ROWID;

-- In the transaction that makes a generation succeed, so that none counts twice or not at all.
CREATE TRIGGER usage_of_success AFTER UPDATE OF status ON generations
WHEN NEW.status = 'succeeded' AND OLD.status <> 'succeeded'
BEGIN
  INSERT INTO usage (account_id, day, key_id, generations, images, cached)
  VALUES (
    NEW.account_id,
    strftime('%Y-%m-%d', NEW.completed_at / 1000, 'unixepoch'),
    NEW.key_id,
    1,
    iif(NEW.cached, 0, json_extract(NEW.parameters, '$.num_images')),
    NEW.cached
  )
  ON CONFLICT (account_id, day, key_id) DO UPDATE SET
    generations = generations + excluded.generations,
    images = images + excluded.images,
    cached = cached + excluded.cached;
END;
