-- The public page of an image that its owner has shared: its unguessable name, whether it shows the sentence, since when.
ALTER TABLE images ADD COLUMN share_token TEXT;
ALTER TABLE images ADD COLUMN share_prompt INTEGER;
ALTER TABLE images ADD COLUMN shared_at INTEGER;
CREATE UNIQUE INDEX images_by_share ON images (share_token) WHERE share_token IS NOT NULL;
