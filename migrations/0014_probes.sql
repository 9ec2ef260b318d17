-- How many calls were let through since the rest of an open circuit was over. `failures` counts rounds from now on: the one
-- that opened the circuit, and each round of such calls that all found the runner ill.
ALTER TABLE runners ADD COLUMN probes INTEGER NOT NULL DEFAULT 0;
UPDATE runners SET failures = 0, open_until = NULL, probe_until = NULL;
