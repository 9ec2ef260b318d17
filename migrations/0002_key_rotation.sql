-- A rotated key has two secrets for a while: `previous_hash` works until `previous_until`.
ALTER TABLE keys ADD COLUMN previous_hash TEXT;
ALTER TABLE keys ADD COLUMN previous_until INTEGER;
-- When the key was last seen, to within a minute.
ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
CREATE UNIQUE INDEX keys_by_previous_hash ON keys (previous_hash) WHERE previous_hash IS NOT NULL;
