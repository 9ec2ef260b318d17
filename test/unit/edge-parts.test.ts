import { describe, it } from "vitest";
import { append, endOf, newHistory, progressAt, progressOf, revived } from "../../src/worker/generation/history.ts";
import { waitSeconds } from "../../src/worker/prefer.ts";
import { parseRange } from "../../src/worker/range.ts";
import { errorSentence, Prediction } from "../../src/worker/runner/prediction.ts";
import { stepsFromLogs } from "../../src/worker/runner/progress.ts";
import { jitter } from "../../src/worker/services/jitter.ts";

describe("Prefer", () => {
  it("says how long to wait", ({ expect }) => {
    const values: [string | undefined, number | null][] = [
      [undefined, null],
      ["", null],
      ["respond-async", null],
      ["wait", 60],
      ["wait=1", 1],
      ["wait=60", 60],
      ["wait=90", 60],
      ["wait=0", null],
      ["wait=-5", null],
      ["wait=soon", null],
      ["respond-async, wait=10", 10],
      ['WAIT="7"; foo=1', 7],
      ["await=5", null],
    ];
    for (const [header, seconds] of values) expect(waitSeconds(header), header).toBe(seconds);
  });
});

describe("Range", () => {
  it("is a part, the whole, or not to be had", ({ expect }) => {
    expect(parseRange(undefined, 10)).toEqual({ kind: "whole" });
    expect(parseRange("bytes=-", 10)).toEqual({ kind: "whole" });
    expect(parseRange("bytes=9-9", 10)).toEqual({ kind: "part", offset: 9, length: 1 });
    expect(parseRange("bytes=10-", 10)).toEqual({ kind: "unsatisfiable" });
    expect(parseRange("bytes=0-0", 0)).toEqual({ kind: "unsatisfiable" });
  });
});

describe("jitter", () => {
  it("grows with the attempts up to a bound, and is never zero", ({ expect }) => {
    for (let attempts = 1; attempts <= 200; attempts++) {
      const most = Math.min(15, 2 ** attempts);
      expect(jitter(attempts, () => 0)).toBe(1);
      expect(jitter(attempts, () => 1 - Number.EPSILON)).toBe(most);
      expect(jitter(attempts, () => 1 - Number.EPSILON, { busy: true })).toBe(Math.min(60, 2 ** attempts));
    }
  });
});

describe("a generation's history", () => {
  const status = (name: "queued" | "running") => ({ type: "status", data: { status: name } }) as const;
  const step = (n: number) => ({ type: "progress", data: progressAt(n, 10, n * 100) }) as const;
  const completed = { type: "completed", data: { status: "failed" } as never } as const;

  it("keeps the last progress only, and ids grow", ({ expect }) => {
    const history = newHistory("gen_1");
    for (const event of [status("queued"), status("running"), step(1), step(2)]) append(history, event, 0);
    expect(history.events.map(({ id, type }) => [id, type])).toEqual([
      [1, "status"],
      [2, "status"],
      [4, "progress"],
    ]);
    expect(progressOf(history)).toMatchObject({ step: 2, fraction: 0.2, eta_seconds: 0.8 });
  });

  it("takes nothing late, repeated or after the end", ({ expect }) => {
    const history = newHistory("gen_1");
    append(history, status("queued"), 0);
    expect(append(history, step(1), 0)).toBeNull();
    append(history, status("running"), 0);
    expect(append(history, status("running"), 0)).toBeNull();
    append(history, step(5), 0);
    expect(append(history, step(5), 0)).toBeNull();
    expect(append(history, step(4), 0)).toBeNull();
    append(history, completed, 0);
    for (const event of [status("queued"), status("running"), step(9), completed])
      expect(append(history, event, 0)).toBeNull();
    expect(endOf(history)).toEqual({ status: "failed" });
  });

  it("begins anew when the runner lost it", ({ expect }) => {
    const history = newHistory("gen_1");
    for (const event of [status("queued"), status("running"), step(5), status("queued")]) append(history, event, 0);
    expect(progressOf(history)).toBeNull();
    append(history, status("running"), 0);
    expect(append(history, step(1), 0)?.id).toBe(6);
  });

  it("never gives an id twice after it was read back", ({ expect }) => {
    const history = newHistory("gen_1");
    append(history, status("queued"), 0);
    const stored = structuredClone(history);
    append(history, status("running"), 0);
    const back = revived(stored);
    expect(append(back, status("running"), 0)?.id).toBeGreaterThan(history.lastId);
  });
});

describe("what a runner says", () => {
  it("is read from tqdm lines", ({ expect }) => {
    expect(stepsFromLogs("")).toBeNull();
    expect(stepsFromLogs("The prompt is longer than the text encoder reads; unread: x\n")).toBeNull();
    const logs = "  4%|          | 1/25 [00:00<00:01, 17.31it/s]\n 40%|####      | 10/25 [00:00<00:00, 17.31it/s]\n";
    expect(stepsFromLogs(logs)).toEqual({ step: 10, steps: 25 });
  });

  it("may be little, or more than is known", ({ expect }) => {
    expect(Prediction.parse({ id: "x", status: "aborted" })).toMatchObject({
      status: "canceled",
      logs: "",
      metrics: {},
    });
    const odd = {
      id: "x",
      status: "succeeded",
      metrics: { predict_time: "fast", reading: 5, notice: {} },
      error_code: "No Code",
      new: 1,
    };
    expect(Prediction.parse(odd)).toMatchObject({
      metrics: { predict_time: null, reading: null, notice: null },
      error_code: null,
    });
    expect(Prediction.safeParse({ id: "x", status: "flying" }).success).toBe(false);
  });

  it("is shown when it is a sentence", ({ expect }) => {
    expect(errorSentence(" Out of memory. ")).toBe("Out of memory.");
    for (const error of [null, "", 5, {}, "Traceback (most recent call last)", "a\nb"])
      expect(errorSentence(error)).toBe("The runner could not draw this picture.");
  });
});
