-- What signs beside the new secret until then: of messages to requests' own URLs, and of what moderation hooks are asked.
ALTER TABLE accounts ADD COLUMN previous_webhook_secret TEXT;
ALTER TABLE accounts ADD COLUMN previous_webhook_secret_until INTEGER;
ALTER TABLE policies ADD COLUMN previous_secret TEXT;
ALTER TABLE policies ADD COLUMN previous_until INTEGER;
