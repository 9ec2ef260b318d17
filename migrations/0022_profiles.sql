-- What a client keeps for an end user, or a place of theirs: preferences, JSON.
CREATE TABLE profiles (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  id TEXT NOT NULL,
  preferences TEXT NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE favorites (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  profile_id TEXT NOT NULL,
  generation_id TEXT NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
  PRIMARY KEY (account_id, profile_id, generation_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX favorites_by_generation ON favorites (generation_id);
