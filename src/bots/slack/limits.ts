/** Slack's own bounds (docs.slack.dev: reference/block-kit, reference/methods, interactivity). */
export const SLACK = {
  /** Code points of a section's text; a context's text has no other bound. */
  text: 3000,
  altText: 2000,
  button: 75,
  buttonValue: 2000,
  blocks: 50,
  modalTitle: 24,
  modalButton: 24,
  inputLabel: 2000,
  inputText: 3000,
  /** Milliseconds that a response URL posts. */
  responseUrl: 30 * 60 * 1000,
} as const;

/** One edit per 3 s is as much as anybody reads; in milliseconds. */
export const PACE = { interval: 3_000, grace: 1_000 } as const;

/**
 * How often a workspace lets a method be called (docs.slack.dev/apis/web-api/rate-limits: tier 3 is 50 a minute, posting is
 * one a second in a channel), as a bucket of `burst` that fills at `perSecond`; `spared` of it are left to last states.
 */
export const RATES: Record<string, { burst: number; perSecond: number; spared: number }> = {
  "chat.update": { burst: 12, perSecond: 0.6, spared: 6 },
  "chat.postMessage": { burst: 3, perSecond: 1, spared: 0 },
  "reactions.get": { burst: 12, perSecond: 0.6, spared: 0 },
};

/** Every scope that the bot asks for; docs/slack.md says what for. */
export const SCOPES = [
  "commands",
  "chat:write",
  "chat:write.public",
  "files:write",
  "files:read",
  "app_mentions:read",
  "reactions:read",
  "users:read",
] as const;
