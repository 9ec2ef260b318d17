declare namespace Cloudflare {
  interface Env {
    RUNNER_URL: string;
    RUNNER_TOKEN: string;
    RUNNER_WEBHOOK_SECRET: string;
    PUBLIC_URL: string;
    DISCORD_API_URL: string;
    CHAT_API_KEY: string;
    SLACK_ENCRYPTION_KEY: string;
    TEST_MIGRATIONS: import("cloudflare:test").D1Migration[];
  }
}
