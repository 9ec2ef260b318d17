-- Times are integers: milliseconds since 1970, UTC. docs/storage.md explains every table.
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  operator INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  hash TEXT NOT NULL UNIQUE,
  prefix TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  limits TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;

CREATE INDEX keys_by_account ON keys (account_id, id);

CREATE TABLE generations (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  key_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
  model TEXT NOT NULL,
  adapter_id TEXT,
  adapter_scale REAL,
  prompt TEXT NOT NULL,
  negative_prompt TEXT,
  parameters TEXT NOT NULL,
  user TEXT,
  metadata TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- When this generation fails unless something happens before.
  deadline_at INTEGER NOT NULL,
  -- Until when a dispatcher has the row to itself, or until when it rests after its runner lost it.
  claimed_until INTEGER,
  -- When the runner took it; null again when the runner lost it.
  dispatched_at INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER,
  completed_at INTEGER,
  run_ms INTEGER,
  reading TEXT,
  error_code TEXT,
  error_message TEXT
) STRICT;

CREATE INDEX generations_by_account ON generations (account_id, id);
CREATE INDEX generations_unfinished ON generations (created_at) WHERE status IN ('queued', 'running');

CREATE TABLE images (
  token TEXT PRIMARY KEY,
  generation_id TEXT NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  extension TEXT NOT NULL,
  content_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  flagged INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (generation_id, position)
) STRICT;

-- The last list of models that the runner gave, so that requests are accepted while it is away.
CREATE TABLE catalogue (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  models TEXT NOT NULL,
  fetched_at INTEGER NOT NULL
) STRICT;
