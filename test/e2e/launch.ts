import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RUN = join(ROOT, "scripts", "run.mjs");

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
  readonly process: ChildProcess;
  stdout = "";
  stderr = "";
  /** Exit status, or the signal's name. */
  readonly ended: Promise<number | string>;

  constructor(args: string[], env: NodeJS.ProcessEnv) {
    this.process = spawn(process.execPath, [RUN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.process.stdout?.on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.process.stderr?.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.ended = once(this.process, "close").then(([code, signal]) => code ?? signal);
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
    const ready = until(async () => launch.stdout.includes("Vignette is ready"));
    const early = await Promise.race([ready.then(() => undefined), launch.ended]);
    if (early !== undefined) throw new Error(`It ended (${early}) before it was ready:\n${launch.stderr}`);
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

  /** Resolves once no process is left; the test's own timeout says when that is too late. */
  async empty(): Promise<void> {
    await until(async () => (await this.processes()).length === 0);
  }

  /** After a test: what a failed one left running is stopped, nothing else may be there, and the folder goes. */
  async leave(): Promise<void> {
    for (const { process } of this.#launches) if (process.exitCode === null) process.kill("SIGTERM");
    await this.empty();
    await this.remove();
  }

  async remove(): Promise<void> {
    await rm(this.state, { recursive: true, force: true });
  }
}

/** Polls until the condition holds. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(50);
}
