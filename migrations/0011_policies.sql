-- What prompts an account takes; account_id '*': an operator's, which holds for every account besides its own.
CREATE TABLE policies (
  account_id TEXT PRIMARY KEY,
  -- JSON, as the API takes it.
  policy TEXT NOT NULL,
  -- Changes with every change: isolates keep compiled policies under it.
  version TEXT NOT NULL,
  -- Signs what is asked of the moderation hook.
  secret TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
