import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { handedOn } from "../../scripts/lib/edge.mjs";

describe("the variables that `npm start` hands on to the edge", () => {
  it("are those that are set and the edge's own", () => {
    const deadlines = { QUEUE_DEADLINE_SECONDS: "1200", RUN_DEADLINE_SECONDS: "3600" };
    assert.deepEqual(handedOn({ ...deadlines, IMAGES_DAYS: "", PATH: "/bin" }), deadlines);
  });

  it("are Slack's only where the edge has the key to answer with, without which a process is the bot", () => {
    const slack = { SLACK_SIGNING_SECRET: "8f74", SLACK_BOT_TOKEN: "xoxb-1" };
    assert.deepEqual(handedOn(slack), {});
    assert.deepEqual(handedOn({ ...slack, CHAT_API_KEY: "vgt_x" }), { ...slack, CHAT_API_KEY: "vgt_x" });
  });

  it("are Discord's public key always: only the edge reads it, and says what it lacks", () => {
    assert.deepEqual(handedOn({ DISCORD_PUBLIC_KEY: "ab" }), { DISCORD_PUBLIC_KEY: "ab" });
  });
});
