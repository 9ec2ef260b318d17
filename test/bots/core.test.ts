import { describe, it } from "vitest";
import { readCustomId, writeCustomId } from "../../src/bots/core/custom-id.ts";
import { detailsOf } from "../../src/bots/core/details.ts";
import { again, orderFor, vary } from "../../src/bots/core/order.ts";
import { type Origin, readOrigin, writeOrigin } from "../../src/bots/core/origin.ts";
import { readRatio, sizeFor } from "../../src/bots/core/ratio.ts";
import { parseRequest, writeRequest } from "../../src/bots/core/request.ts";
import { changeOf, type RawSettings, settingsSaid } from "../../src/bots/core/settings.ts";
import { LOCALES, say, stringsFor } from "../../src/bots/core/strings.ts";
import { oneLine, shorten } from "../../src/bots/core/text.ts";
import { sentenceFor } from "../../src/bots/core/trouble.ts";
import { altText, viewOf } from "../../src/bots/core/view.ts";
import { ClientError } from "../../src/client/index.ts";
import { CreateGeneration } from "../../src/contract/generation.ts";
import { type Group, UpdateGroup } from "../../src/contract/groups.ts";
import { generation, MODELS } from "./sample.ts";

const origin: Origin = { chat: "discord", request: "1", channel: "2", locale: "en" };
const NOW = Date.parse("2026-11-01T13:00:00Z");

describe("a request", () => {
  it("reads flags anywhere in the text, phones' dashes too", ({ expect }) => {
    const parsed = parseRequest({ prompt: "--ar 16:9 two cats —seed 7 asleep --n 2 --no dogs, people --private" });
    expect(parsed).toEqual({
      ok: true,
      request: {
        prompt: "two cats  asleep".replace("  ", " "),
        avoid: "dogs, people",
        ratio: "16:9",
        style: null,
        seed: 7,
        count: 2,
        private: true,
      },
    });
  });

  it("leaves dashes that are no flags alone, and lets options go before flags", ({ expect }) => {
    const parsed = parseRequest({ prompt: "a cat — asleep –quietly well-known --seed=3", seed: 9, private: false });
    expect(parsed).toMatchObject({ ok: true, request: { prompt: "a cat — asleep –quietly well-known", seed: 9 } });
  });

  it("answers every problem at once and draws nothing unknown", ({ expect }) => {
    const parsed = parseRequest({ prompt: "--banana yes --seed -1 --n 9 --ar 9:1 --style" });
    expect(parsed.ok ? [] : parsed.complaints.map(({ key }) => key).sort()).toEqual(
      ["count_bad", "flag_unknown", "flag_value", "prompt_empty", "ratio_bad", "seed_bad"].sort(),
    );
    expect(parseRequest({ prompt: "cat --constructor 1" }).ok).toBe(false);
  });

  it("is written as one text that says the same", ({ expect }) => {
    for (const raw of [
      { prompt: "a cat" },
      { prompt: "a cat", ratio: "16:9", style: "flat", seed: 7, count: 3, avoid: "dogs, people --x", private: true },
      { prompt: "two — cats", avoid: "text" },
    ]) {
      const parsed = parseRequest({ ...raw, avoid: raw.avoid?.replace("--", "") });
      if (!parsed.ok) throw new Error("refused");
      expect(parseRequest({ prompt: writeRequest(parsed.request) })).toEqual(parsed);
    }
  });

  it("becomes what the API takes, within the model", ({ expect }) => {
    const parsed = parseRequest({ prompt: "a cat", ratio: "16:9", style: "Watercolor", count: 2, avoid: "dogs" });
    if (!parsed.ok) throw new Error("refused");
    const answer = orderFor(parsed.request, MODELS);
    expect(answer).toEqual({
      order: {
        prompt: "a cat, a watercolor painting",
        negative_prompt: "dogs",
        output_format: "png",
        num_images: 2,
        width: 168,
        height: 96,
      },
    });
    expect("order" in answer && CreateGeneration.safeParse(answer.order).success).toBe(true);
    expect(orderFor({ ...parsed.request, style: "miniature-ink" }, MODELS)).toMatchObject({
      order: { prompt: "a cat", model: "miniature-ink" },
    });
    expect(orderFor({ ...parsed.request, style: "x" }, MODELS)).toMatchObject({ complaint: { key: "style_bad" } });
    expect(orderFor({ ...parsed.request, style: null, prompt: "x".repeat(1001) }, MODELS)).toMatchObject({
      complaint: { key: "prompt_long", params: { length: 1001, limit: 1000 } },
    });
  });

  it("asks for jpeg where a png might be larger than the place takes", ({ expect }) => {
    const parsed = parseRequest({ prompt: "a cat", count: 4 });
    if (!parsed.ok) throw new Error("refused");
    const formatAt = (limit?: number) => {
      const answer = orderFor(parsed.request, MODELS, limit);
      return "order" in answer && answer.order.output_format;
    };
    // 128 x 128 pixels of three bytes.
    expect([formatAt(), formatAt(49_152), formatAt(49_151)]).toEqual(["png", "png", "jpeg"]);
    const large = generation();
    Object.assign(large.parameters, { width: 2048, height: 2048, num_images: 4 });
    expect(
      [again(large), vary(large, 0, 0.3), vary(large, 0, 0.3, 10 * 1024 * 1024)].map((o) => o.output_format),
    ).toEqual(["jpeg", "png", "jpeg"]);
  });

  it("repeats everything but chance, and varies with the same seed", ({ expect }) => {
    const from = generation({ negative_prompt: "dogs" });
    expect(again(from)).not.toHaveProperty("seed");
    expect(again(from)).toMatchObject({ prompt: from.prompt, negative_prompt: "dogs", adapter: "sur", width: 128 });
    for (const random of [0, 0.3, 0.5, 0.999]) {
      const order = vary(from, 0, random);
      expect(order).toMatchObject({ seed: 7, num_images: 1 });
      expect(order.guidance_scale).not.toBe(from.parameters.guidance_scale);
      expect(CreateGeneration.safeParse(order).success).toBe(true);
    }
  });
});

describe("ratios", () => {
  it("are read in every usual spelling and refused otherwise", ({ expect }) => {
    expect(["16:9", "16x9", "16/9", " 3 × 2 ", "1.5", "1"].map(readRatio)).toEqual([
      16 / 9,
      16 / 9,
      16 / 9,
      1.5,
      1.5,
      1,
    ]);
    expect(["", "0:1", "1:0", "5:1", "1:5", "a:b", "-1:1", "1:1:1"].map(readRatio)).toEqual(Array(8).fill(null));
  });

  it("give sizes that the model takes", ({ expect }) => {
    const [model] = MODELS;
    if (!model) throw new Error("no model");
    for (const ratio of [0.25, 9 / 16, 1, 1.5, 4]) {
      const { width, height } = sizeFor(ratio, model);
      for (const side of [width, height]) {
        expect(side % 8).toBe(0);
        expect(side).toBeGreaterThanOrEqual(64);
        expect(side).toBeLessThanOrEqual(256);
      }
    }
  });
});

describe("settings of a place", () => {
  const group = (fields: Partial<Group> = {}): Group => ({
    id: "discord:1",
    object: "group",
    limits: {},
    users: {},
    ...fields,
  });
  const changed = (raw: RawSettings, person: string | null = null, before = group()) => {
    const wanted = changeOf(raw, before, person);
    return "change" in wanted ? wanted.change : wanted.complaints.map(({ key }) => key);
  };

  it("change what is named and keep the rest; 0 takes away", ({ expect }) => {
    const before = group({ limits: { images_per_day: 100, concurrent_per_user: 2 } });
    expect(changed({ day: 5 }, null, before)).toEqual({
      limits: { images_per_day: 100, concurrent_per_user: 2, images_per_day_per_user: 5 },
    });
    expect(changed({ all: "0", at_once: 3 }, null, before)).toEqual({ limits: { concurrent_per_user: 3 } });
    expect(changed({})).toBeNull();
    expect(changed({ day: "x", all: 10_001, block: true })).toEqual(["settings_bad", "settings_bad", "settings_whom"]);
  });

  it("of one person block and free them, and are gone with their last", ({ expect }) => {
    const before = group({ users: { "discord:7": { images_per_day: 0, concurrent: 2 } } });
    expect(changed({ block: true }, "discord:7")).toEqual({ users: { "discord:7": { images_per_day: 0 } } });
    expect(changed({ block: false }, "discord:7", before)).toEqual({ users: { "discord:7": { concurrent: 2 } } });
    expect(changed({ block: false, at_once: 0 }, "discord:7", before)).toEqual({ users: { "discord:7": null } });
    expect(changed({ day: 9 }, "constructor")).toEqual({ users: { constructor: { images_per_day: 9 } } });
    expect(UpdateGroup.safeParse(changed({ day: 9, at_once: 1 }, "discord:7")).success).toBe(true);
  });

  it("are said in sentences", ({ expect }) => {
    const said = (place: Group, person: string | null = null) => settingsSaid(place, person).map(({ key }) => key);
    expect(said(group())).toEqual(["settings_none"]);
    expect(said(group({ limits: { images_per_day: 1 }, users: { a: { concurrent: 1 } } }))).toEqual([
      "settings_all",
      "settings_members",
    ]);
    expect(said(group({ users: { a: { images_per_day: 0, concurrent: 1 } } }), "a")).toEqual([
      "settings_blocked",
      "settings_own_now",
    ]);
    expect(said(group(), "toString")).toEqual(["settings_own_none"]);
  });
});

describe("strings", () => {
  it("exist in every language, say every parameter, and are no copies", ({ expect }) => {
    const { en, ...others } = LOCALES;
    const names = (text = "") => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
    for (const [tag, strings] of Object.entries(others)) {
      expect(Object.keys(strings).sort(), tag).toEqual(Object.keys(en ?? {}).sort());
      for (const [key, text] of Object.entries(strings)) {
        expect(text.trim(), `${tag} ${key}`).not.toBe("");
        expect(names(text), `${tag} ${key}`).toEqual(names(en?.[key as keyof typeof en]));
      }
      const same = Object.entries(strings).filter(([key, text]) => text === en?.[key as keyof typeof en]);
      expect(same.length, `${tag} repeats English`).toBeLessThan(8);
    }
  });

  it("fit Discord's commands and buttons", ({ expect }) => {
    for (const strings of Object.values(LOCALES))
      for (const [key, text] of Object.entries(strings)) {
        if (/^(command|option)_/.test(key)) expect(text.length, text).toBeLessThanOrEqual(100);
        if (/^label_/.test(key)) expect(text.length, text).toBeLessThanOrEqual(45);
      }
  });

  it("are found by a platform's tag", ({ expect }) => {
    expect(["de-DE", "zh_TW", "ja", "es-419", "EN-gb"].map(stringsFor)).toEqual(
      ["de", "zh", "ja", "es", "en"].map((tag) => LOCALES[tag]),
    );
    expect(["xx", null, "constructor", ""].map(stringsFor)).toEqual(Array(4).fill(LOCALES.en));
    expect(say(stringsFor("en"), "failed", { reason: "{ahead}" })).toContain("{ahead}");
  });
});

describe("custom ids", () => {
  it("come back as they were written, within Discord's 100 characters", ({ expect }) => {
    const { id } = generation();
    for (const press of [
      { action: "cancel", id, index: null },
      { action: "vary", id, index: 3 },
      { action: "forget", id: null, index: null },
    ] as const) {
      const text = writeCustomId(press);
      expect(text.length).toBeLessThanOrEqual(100);
      expect(readCustomId(text)).toEqual(press);
    }
  });

  it("refuse what is none of ours", ({ expect }) => {
    const { id } = generation();
    for (const text of [
      "",
      "vg1",
      "vg2:c",
      "vg1:z",
      `vg1:v:${id}:4`,
      `vg1:c:${id}x`,
      `vg1:c:${id}:0:1`,
      "vg1:constructor",
    ])
      expect(readCustomId(text), text).toBeNull();
  });
});

describe("an origin", () => {
  it("survives the metadata, which takes it", ({ expect }) => {
    const full: Origin = {
      chat: "slack",
      request: "Ev1",
      place: "T1",
      channel: "C1",
      message: "1.2",
      thread: "1.1",
      token: "x".repeat(500),
      expires: NOW,
      locale: "de",
      style: "photo",
      private: true,
      adult: true,
      member: true,
      limit: 10,
      parent: "gen_x",
      how: "vary",
    };
    expect(readOrigin(writeOrigin(full))).toEqual(full);
    expect(CreateGeneration.safeParse({ prompt: "x", metadata: writeOrigin(full) }).success).toBe(true);
    expect(readOrigin(writeOrigin({ ...origin, private: false }))).toEqual(origin);
    expect(readOrigin({ note: "mine" })).toBeNull();
  });
});

describe("views", () => {
  it("show each state with what can be done in it", ({ expect }) => {
    const actions = (fields: Parameters<typeof generation>[0], at: Origin = origin) =>
      viewOf(generation(fields), at, NOW)
        .buttons.flat()
        .map(({ action }) => action);
    expect(actions({ status: "queued" })).toEqual(["cancel"]);
    expect(actions({ status: "running" })).toEqual(["cancel"]);
    expect(actions({ status: "canceled" })).toEqual(["retry"]);
    expect(actions({ status: "failed", error: { code: "x", message: "y" } })).toEqual(["retry", "remix"]);
    expect(actions({})).toEqual([
      "reroll",
      "remix",
      "same_seed",
      "details",
      "delete",
      "vary",
      "meant",
      "not_meant",
      "favorite",
    ]);
  });

  it("count down to a moment and tell the place in line", ({ expect }) => {
    const progress = { fraction: 0.4, step: 2, steps: 5, queue_position: null, eta_seconds: 3 };
    expect(viewOf(generation({ status: "running" }), origin, NOW, progress)).toMatchObject({
      fraction: 0.4,
      readyAt: NOW + 3000,
    });
    const queued = viewOf(generation({ status: "queued" }), origin, NOW, { ...progress, queue_position: 2 });
    expect(queued.headline).toBe("In line, 2 ahead");
  });

  it("keep flagged pictures out of places that are not for them", ({ expect }) => {
    const [image] = generation().images;
    if (!image) throw new Error("no image");
    const flagged = generation({ images: [{ ...image, flagged: true }] });
    expect(viewOf(flagged, origin, NOW).images).toEqual([]);
    expect(viewOf(flagged, { ...origin, adult: true }, NOW).images).toMatchObject([{ covered: true }]);
    const slack = viewOf(flagged, { ...origin, chat: "slack", private: true }, NOW);
    expect(slack.images).toEqual([]);
    expect(slack.buttons.flat().map(({ action }) => action)).toContain("show");
  });

  it("number the pictures of several", ({ expect }) => {
    const [image] = generation().images;
    const images = [0, 1].map((index) => ({ ...image, index })) as ReturnType<typeof generation>["images"];
    const alts = viewOf(generation({ images }), origin, 0).images.map(({ alt }) => alt);
    expect(alts.map((alt) => /\(picture \d of 2\)$/.exec(alt)?.[0])).toEqual(["(picture 1 of 2)", "(picture 2 of 2)"]);
  });

  it("describe the picture to those who do not see it", ({ expect }) => {
    expect(altText(generation(), origin)).toBe(
      "A picture drawn by a machine from the words: two purple cats fell asleep on the beach. Read as: 2cat",
    );
    expect(altText(generation({ prompt: "x".repeat(8000) }), origin).length).toBeLessThanOrEqual(1000);
    expect(detailsOf(generation(), "en")[0]).toEqual({ label: "How I read your prompt", value: "2cat 91 %" });
  });
});

describe("text", () => {
  it("loses what hides or reorders, keeps what people write", ({ expect }) => {
    expect(oneLine("a\u202eb\u200b c\n\td\u0000 \u{e0041}", 100)).toBe("ab c d");
    expect(oneLine("👩‍🚀 ❤️ é 猫", 100)).toBe("👩‍🚀 ❤️ é 猫");
    expect(oneLine(`e${"\u0301".repeat(60)}x`, 100)).toBe(`e${"\u0301".repeat(4)}x`);
    expect(oneLine("\ud800x", 100)).toBe("\ufffdx");
    expect(shorten("🐈🐈🐈", 2)).toBe("🐈…");
  });
});

describe("trouble", () => {
  it("becomes a sentence that tells what to do", ({ expect }) => {
    const problem = (status: number, code: string) => ({
      type: "urn:x",
      title: "T",
      status,
      detail: "Too many.",
      instance: "/",
      code,
      request_id: "r",
    });
    const when = (seconds: number) => `${seconds}s`;
    expect(sentenceFor(new TypeError("fetch failed"), when).key).toBe("api_down");
    expect(sentenceFor(new ClientError(401, problem(401, "key_revoked"), null), when).key).toBe("api_key");
    expect(sentenceFor(new ClientError(503, null, 5), when)).toEqual({ key: "api_busy", params: { when: "5s" } });
    expect(sentenceFor(new ClientError(429, problem(429, "rate_limited"), 9), when)).toEqual({
      key: "api_busy",
      params: { when: "9s" },
    });
    expect(sentenceFor(new ClientError(429, problem(429, "quota_exceeded"), 60), when)).toEqual({
      key: "quota_day",
      params: { when: "60s" },
    });
    expect(sentenceFor(new ClientError(422, problem(422, "invalid_request"), null), when)).toEqual({
      key: "api_refused",
      params: { detail: "Too many." },
    });
    expect(sentenceFor(new ClientError(502, null, null), when).key).toBe("api_down");
    expect(sentenceFor(new ClientError(404, problem(404, "not_found"), null), when).key).toBe("not_found");
  });
});
