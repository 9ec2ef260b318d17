-- A workspace, or an organisation, that installed the Slack app: its bot token and whose it is, sealed with
-- SLACK_ENCRYPTION_KEY (AES-256-GCM, bound to the name). Removed when the app is thrown out.
CREATE TABLE slack_installations (
  name TEXT PRIMARY KEY,
  sealed TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
