import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RUN = join(ROOT, "scripts", "run.mjs");
/** A guard against hanging alone: a poll that outlived its test would keep the whole run from ending. */
const PATIENCE_MS = 240_000;

/** dev.json of a running instance. */
export interface Instance {
  url: string;
  api_key: string;
  runner_url: string;
  runner_token: string;
  runner_webhook_secret: string;
  pids: { launcher: number; edge: number; runner: number };
}

/** A command under test with all it says. */
export class Launch {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  stdout = "";
  stderr = "";
  /** Exit status, or the signal's name. */
  readonly ended: Promise<number | string>;

  constructor(args: string[], env: NodeJS.ProcessEnv) {
    this.process = spawn(process.execPath, [RUN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.process.stdout.on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.process.stderr.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.ended = once(this.process, "close").then(([code, signal]) => code ?? signal);
  }

  /** Resolves once its output has these words. @throws when it ends without them */
  async says(words: string): Promise<void> {
    while (!this.stdout.includes(words)) {
      const news = await Promise.race([once(this.process.stdout, "data"), this.ended]);
      if (!Array.isArray(news)) throw new Error(`It ended (${news}) and never said "${words}":\n${this.stderr}`);
    }
  }
}

/** A state folder of its own, which marks every process that is started for it. */
export class Place {
  readonly state: string;
  readonly #launches: Launch[] = [];

  private constructor(state: string) {
    this.state = state;
  }

  static async create(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), "vignette-e2e-")));
  }

  /** Runs `node scripts/run.mjs …` on free ports. */
  launch(args: string[], env: Record<string, string> = {}): Launch {
    const { VIGNETTE_URL: _, VIGNETTE_API_KEY: __, ...inherited } = process.env;
    const mine = { ...inherited, PORT: "0", RUNNER_PORT: "0", VIGNETTE_STATE: this.state, ...env };
    const launch = new Launch(args, mine);
    this.#launches.push(launch);
    return launch;
  }

  async instance(): Promise<Partial<Instance>> {
    return readFile(join(this.state, "dev.json"), "utf8").then(JSON.parse, () => ({}));
  }

  /** Starts an instance and waits until it says that it is ready. */
  async start(env: Record<string, string> = {}): Promise<{ launch: Launch; instance: Instance }> {
    const launch = this.launch(["start"], env);
    await launch.says("Vignette is ready");
    return { launch, instance: (await this.instance()) as Instance };
  }

  /** Every living process that was started for this place, by command line. */
  async processes(): Promise<string[]> {
    const mark = `VIGNETTE_STATE=${this.state}`;
    const found: string[] = [];
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      if (!environment.split("\0").includes(mark)) continue;
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (line !== "") found.push(`${pid} ${line.replaceAll("\0", " ").trim()}`);
    }
    return found;
  }

  /** Resolves once no process is left. */
  async empty(): Promise<void> {
    await until(async () => (await this.processes()).length === 0);
  }

  /** Stops what still runs; nothing else may be left of it. The folder stays for another start. */
  async stop(): Promise<void> {
    for (const { process } of this.#launches) if (process.exitCode === null) process.kill("SIGTERM");
    await this.empty();
  }

  /** Stops what still runs, and the folder goes. */
  async leave(): Promise<void> {
    await this.stop();
    await rm(this.state, { recursive: true, force: true });
  }
}

/** Polls until the condition holds, for what tells nobody of itself. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`This never came true: ${condition}`);
    await delay(50);
  }
}
