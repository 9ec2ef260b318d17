-- After how many days pictures, and generations with their prompts, are removed; null: as the instance's variables say.
ALTER TABLE accounts ADD COLUMN images_days INTEGER;
ALTER TABLE accounts ADD COLUMN generations_days INTEGER;
-- When the cron last looked for what is too old; 0: its next turn.
ALTER TABLE accounts ADD COLUMN swept_at INTEGER NOT NULL DEFAULT 0;
-- Up to which generation, by id, the pictures are gone.
ALTER TABLE accounts ADD COLUMN images_swept_to TEXT NOT NULL DEFAULT '';
-- When the account was erased; `erasing`: something of it is left.
ALTER TABLE accounts ADD COLUMN erased_at INTEGER;
ALTER TABLE accounts ADD COLUMN erasing INTEGER NOT NULL DEFAULT 0;
CREATE INDEX accounts_by_sweep ON accounts (swept_at);
CREATE INDEX accounts_erasing ON accounts (erased_at) WHERE erasing = 1;

-- Objects in R2 that nobody refers to any more, written in the transaction that made it so: none outlives a failed delete.
CREATE TABLE doomed_objects (
  object_key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
