-- What a person said of a picture and agreed to have kept for teaching: it goes with its generation.
CREATE TABLE feedback (
  generation_id TEXT PRIMARY KEY REFERENCES generations (id) ON DELETE CASCADE,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  user TEXT,
  verdict TEXT NOT NULL CHECK (verdict IN ('meant', 'not_meant')),
  narrative TEXT NOT NULL,
  -- Null: the sentence was not changed, and nothing was read in it.
  changed_into TEXT,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX feedback_by_account ON feedback (account_id, generation_id);
CREATE INDEX feedback_by_user ON feedback (account_id, user, generation_id);
