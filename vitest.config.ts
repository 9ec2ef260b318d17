import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { Response } from "miniflare";
import { defineConfig } from "vitest/config";
import { CHAT_API_KEY, DISCORD_PUBLIC_KEY, SLACK_SIGNING_SECRET } from "./test/fakes/chat-keys.ts";
import { RUNNERS } from "./test/fakes/runners.ts";
import { CLIENT } from "./test/fakes/slack.ts";

const migrations = await readD1Migrations("migrations");

/** Development values; the fake runner answers at RUNNER_URL. */
const OWN_RUNNER = {
  RUNNER_URL: "http://runner.test",
  RUNNER_TOKEN: "a-token-for-tests-only",
  RUNNER_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
  PUBLIC_URL: "https://vignette.test",
  // Tests deliver that message themselves.
  HANDOVER_SECONDS: "3600",
  DISCORD_PUBLIC_KEY,
  DISCORD_API_URL: "http://discord.test/api",
  CHAT_API_KEY,
  SLACK_SIGNING_SECRET,
  SLACK_CLIENT_ID: CLIENT.id,
  SLACK_CLIENT_SECRET: CLIENT.secret,
  SLACK_ENCRYPTION_KEY: Buffer.alloc(32, 5).toString("base64"),
  SLACK_API_URL: "http://slack.test/api/",
  SLACK_AUTHORIZE_URL: "http://slack.test/oauth/v2/authorize",
  TEST_MIGRATIONS: migrations,
};

/** What no fake answers, such as a retry after its test has ended, reaches nothing: tests are offline. */
const outboundService = () => new Response("Tests reach no network.", { status: 503 });

/** Guards against hanging, generous because machines are busy; no test asserts a time. Projects inherit nothing. */
const patience = { testTimeout: 60_000, hookTimeout: 60_000 };

function inWorkerd(name: string, include: string, bindings: typeof OWN_RUNNER & { RUNNERS?: string }) {
  return {
    plugins: [
      cloudflareTest({ wrangler: { configPath: "./wrangler.toml" }, miniflare: { bindings, outboundService } }),
    ],
    test: {
      ...patience,
      name,
      include: [include],
      globalSetup: ["./test/worker/build.mjs"],
      setupFiles: ["./test/worker/setup.ts"],
      // A line that an object logs as the last of a file is held back for the next message to Vitest, which waits for it.
      disableConsoleIntercept: true,
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      { test: { ...patience, name: "unit", include: ["test/unit/**/*.test.ts"] } },
      { test: { ...patience, name: "bots", include: ["test/bots/**/*.test.ts"] } },
      inWorkerd("worker", "test/worker/*.test.ts", OWN_RUNNER),
      // Several runners of three kinds, which the other tests do not have.
      inWorkerd("worker-runners", "test/worker/runners/*.test.ts", { ...OWN_RUNNER, RUNNERS: JSON.stringify(RUNNERS) }),
    ],
  },
});
