-- Who is told of the ends of generations. Secrets sign, so they are kept as they are.
CREATE TABLE webhook_endpoints (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  url TEXT NOT NULL,
  description TEXT NOT NULL,
  -- JSON: the types of events it wants.
  events TEXT NOT NULL,
  secret TEXT NOT NULL,
  -- Signs beside the new secret until `previous_until`.
  previous_secret TEXT,
  previous_until INTEGER,
  created_at INTEGER NOT NULL,
  delivered_at INTEGER,
  disabled_at INTEGER,
  disabled_reason TEXT
) STRICT;
CREATE INDEX webhook_endpoints_by_account ON webhook_endpoints (account_id, id);

-- Signs what goes to a request's own webhook_url; made when first needed.
ALTER TABLE accounts ADD COLUMN webhook_secret TEXT;
-- JSON {url, events}: who is told of this generation beside the account's endpoints.
ALTER TABLE generations ADD COLUMN webhook TEXT;

-- One event for one receiver. endpoint_id null: for a request's own URL.
CREATE TABLE webhook_deliveries (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL,
  endpoint_id TEXT REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  generation_id TEXT,
  type TEXT NOT NULL,
  -- The body, made at the first attempt: every attempt sends the same bytes.
  payload TEXT,
  status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
  attempts INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  -- Until when a sender has it to itself.
  claimed_until INTEGER,
  last_at INTEGER,
  -- The HTTP status of the last answer, null when there was none.
  last_status INTEGER,
  last_error TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (account_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_by_generation ON webhook_deliveries (generation_id) WHERE generation_id IS NOT NULL;

-- In the transaction that ends a generation, so that no end goes untold and none is told twice.
CREATE TRIGGER webhooks_of_end AFTER UPDATE OF status ON generations
WHEN NEW.status IN ('succeeded', 'failed', 'canceled') AND OLD.status IN ('queued', 'running')
BEGIN
  INSERT INTO webhook_deliveries (id, account_id, endpoint_id, url, generation_id, type, status, attempts, next_at, created_at)
  SELECT printf('msg_%012x', NEW.completed_at) || lower(hex(randomblob(10))), NEW.account_id, receiver.id, receiver.url, NEW.id,
    'generation.' || NEW.status, 'pending', 0, NEW.completed_at, NEW.completed_at
  FROM (
    SELECT id, url, events FROM webhook_endpoints WHERE account_id = NEW.account_id AND disabled_at IS NULL
    UNION ALL
    SELECT NULL, json_extract(NEW.webhook, '$.url'), json_extract(NEW.webhook, '$.events') WHERE NEW.webhook IS NOT NULL
  ) AS receiver
  WHERE EXISTS (SELECT 1 FROM json_each(receiver.events) AS wanted WHERE wanted.value = 'generation.' || NEW.status);
END;

-- A generation that takes its pictures from the cache succeeds as it is made.
CREATE TRIGGER webhooks_of_cached AFTER INSERT ON generations
WHEN NEW.status = 'succeeded'
BEGIN
  INSERT INTO webhook_deliveries (id, account_id, endpoint_id, url, generation_id, type, status, attempts, next_at, created_at)
  SELECT printf('msg_%012x', NEW.completed_at) || lower(hex(randomblob(10))), NEW.account_id, receiver.id, receiver.url, NEW.id,
    'generation.succeeded', 'pending', 0, NEW.completed_at, NEW.completed_at
  FROM (
    SELECT id, url, events FROM webhook_endpoints WHERE account_id = NEW.account_id AND disabled_at IS NULL
    UNION ALL
    SELECT NULL, json_extract(NEW.webhook, '$.url'), json_extract(NEW.webhook, '$.events') WHERE NEW.webhook IS NOT NULL
  ) AS receiver
  WHERE EXISTS (SELECT 1 FROM json_each(receiver.events) AS wanted WHERE wanted.value = 'generation.succeeded');
END;
