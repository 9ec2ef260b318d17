-- What the runner has to say about a prompt, beside its reading: that the model knows nothing of what it asks for, say.
ALTER TABLE generations ADD COLUMN notice TEXT;
