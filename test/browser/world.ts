import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { CHROMIUM_FLAGS, findChromium } from "../../scripts/lib/chromium.mjs";
import { claimPorts } from "../../scripts/lib/ports.mjs";
import { serve } from "../bots/http.ts";
import { FakeRunner } from "../fakes/replicate.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EDGE = join(ROOT, "scripts", "lib", "edge-process.mjs");
export const AXE = join(ROOT, "node_modules", "axe-core", "axe.min.js");
const TOKEN = "a-token-for-tests-only";
const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** Real pictures of the miniature that the fake runner hands out. */
const pictures = await Promise.all(
  [0, 1, 2, 3, 4, 5, 6, 7].map(
    async (n) => new Uint8Array(await readFile(join(ROOT, "test", "fixtures", "pictures", `${n}.png`))),
  ),
);
export const picture = (n: number): Uint8Array<ArrayBuffer> => pictures[n % pictures.length] as Uint8Array<ArrayBuffer>;

/** Launches the system's Chromium; the stage is left out where there is none. */
export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium() ?? "chromium", args: CHROMIUM_FLAGS });
}

interface EdgeSettings {
  port: number;
  state: string;
  runnerUrl: string;
  /** Whether the page gets the key by itself. */
  pageKey: boolean;
  /** Whose study the page shows; the repository's if absent. */
  docs?: string | undefined;
  /** The key of the last run. */
  apiKey?: string;
}

/** A real edge with its page, a fake runner that a test moves by hand, and a real browser. */
export class World {
  readonly url: string;
  readonly key: string;
  readonly runner: FakeRunner;
  readonly browser: Browser;
  readonly #settings: EdgeSettings;
  #edge: ChildProcess;
  readonly #close: () => Promise<void>;
  readonly #opened: Page[] = [];

  private constructor(
    settings: EdgeSettings & { apiKey: string },
    parts: { runner: FakeRunner; browser: Browser; edge: ChildProcess; close: () => Promise<void> },
  ) {
    this.url = `http://127.0.0.1:${settings.port}`;
    this.key = settings.apiKey;
    this.runner = parts.runner;
    this.browser = parts.browser;
    this.#settings = settings;
    this.#edge = parts.edge;
    this.#close = parts.close;
  }

  static async create({ pageKey = true, docs }: { pageKey?: boolean; docs?: string } = {}): Promise<World> {
    const state = await mkdtemp(join(tmpdir(), "vignette-browser-"));
    await mkdir(join(state, "logs"));
    let runner: FakeRunner | undefined;
    const server = await serve(
      async (request) => (await runner?.fetch(request)) ?? new Response(null, { status: 503 }),
    );
    runner = new FakeRunner({ url: server.origin, token: TOKEN, secret: SECRET, deliver: fetch });
    const [port = 0] = await claimPorts([["PORT", 0]]);
    const settings = { port, state, runnerUrl: server.origin, pageKey, docs };
    const [{ edge, apiKey }, browser] = await Promise.all([startEdge(settings), launch()]);
    return new World({ ...settings, apiKey }, { runner, browser, edge, close: server.close });
  }

  /** A fresh visitor; what the page complains of is kept in `complaints`. */
  async visit(path = "/", options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await this.browser.newContext({
      reducedMotion: "reduce",
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    await context.addInitScript({ path: AXE });
    const page = await context.newPage();
    this.#opened.push(page);
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(new URL(path, this.url).href);
    return { page, complaints };
  }

  /** Stops the edge, as when its machine goes away, and starts it again at the same address. */
  async edgeDown(): Promise<() => Promise<void>> {
    this.#edge.kill();
    await once(this.#edge, "exit");
    return async () => {
      ({ edge: this.#edge } = await startEdge(this.#settings));
    };
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.#edge.kill();
    if (this.#edge.exitCode === null && this.#edge.signalCode === null) await once(this.#edge, "exit");
    await this.#close();
    await rm(this.#settings.state, { recursive: true, force: true });
  }

  /** Ends what a test opened, so that the next begins with nothing. */
  async reset(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((page) => page.context().close()));
    this.runner.mood = "well";
    this.runner.refuse = null;
  }

  /** The prediction that the edge asks the runner for next, beside those in `known`. */
  async arrival(known: Iterable<string> = []): Promise<string> {
    const old = new Set(known);
    for (;;) {
      const id = [...this.runner.predictions.keys()].find((each) => !old.has(each));
      if (id) return id;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Draws a picture and hangs it `count` times: repeats of a seeded request are generations of their own at no cost. */
  async fill(count: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const request = { prompt: "filler", seed: 1 };
    const { id } = await this.api<{ id: string }>("POST", "/v1/generations", request);
    await this.arrival([...this.runner.predictions.keys()].filter((each) => each !== id));
    await this.runner.start(id);
    await this.runner.succeed(id, [bytes]);
    for (let n = 1; n < count; n++)
      await this.api("POST", "/v1/generations", { ...request, metadata: { n: String(n) } });
  }

  /** What the API says, asked as the page asks. */
  async api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        Authorization: `Bearer ${this.key}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(response.ok, `${method} ${path} answered ${response.status}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}

export interface Visitor {
  page: Page;
  /** What the browser's console holds of errors. */
  complaints: string[];
}

interface AxeResults {
  violations: { id: string; help: string; nodes: { target: string[]; failureSummary?: string }[] }[];
}

/** Asserts that axe-core finds nothing in the page as it is once what fades in has come. */
export async function accessible(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const ends = (animation: Animation) => animation.effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY;
    await Promise.allSettled(
      document
        .getAnimations()
        .filter(ends)
        .map(({ finished }) => finished),
    );
  });
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  const told = violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n  ${nodes.map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary ?? ""}`).join("\n  ")}`,
  );
  assert.deepEqual(told, []);
}

async function startEdge(settings: EdgeSettings): Promise<{ edge: ChildProcess; apiKey: string }> {
  const { port, state, runnerUrl, pageKey, docs, apiKey } = settings;
  const edge = fork(EDGE, {
    cwd: ROOT,
    execArgv: ["--no-warnings"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" },
  });
  const bindings = {
    RUNNER_URL: runnerUrl,
    RUNNER_TOKEN: TOKEN,
    RUNNER_WEBHOOK_SECRET: SECRET,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    ALLOW_LOCAL_WEBHOOKS: "1",
  };
  edge.send({ port, state, bindings, pageKey, docs, apiKey });
  const [answer] = (await once(edge, "message")) as [{ ready?: true; apiKey: string; failed?: string }];
  if (!answer.ready) throw new Error(`the edge could not start: ${answer.failed}`);
  return { edge, apiKey: answer.apiKey };
}
