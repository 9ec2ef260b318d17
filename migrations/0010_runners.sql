-- One runner of the configuration: its models as it last told them, and its circuit breaker.
CREATE TABLE runners (
  name TEXT PRIMARY KEY,
  -- JSON; null until it told them.
  models TEXT,
  fetched_at INTEGER,
  -- Calls in a row that found it ill.
  failures INTEGER NOT NULL DEFAULT 0,
  -- Until when nothing is sent there; null: the circuit is closed.
  open_until INTEGER,
  -- Until when somebody tries whether it is well again.
  probe_until INTEGER
) STRICT, WITHOUT ROWID;

-- Its place is taken by runners.models.
DROP TABLE catalogue;

-- Which runner has it, and what it is called there: Replicate's cloud names predictions itself.
ALTER TABLE generations ADD COLUMN runner TEXT;
ALTER TABLE generations ADD COLUMN prediction_id TEXT;
