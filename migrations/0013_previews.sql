-- How many previews its maker wants to see of each picture while it is drawn.
ALTER TABLE generations ADD COLUMN previews INTEGER NOT NULL DEFAULT 0;
