import type { Progress } from "../contract/index.ts";

const WIDTH = 24;

/** One line for where a generation stands, e.g. `drawing  ██████░░░  12/25  3 s left`. */
export function describe(progress: Progress): string {
  if (progress.queue_position !== null) {
    const ahead = progress.queue_position;
    return `waiting  ${ahead === 0 ? "next" : `${ahead} before this one`}`;
  }
  const filled = Math.round(progress.fraction * WIDTH);
  const eta = progress.eta_seconds === null ? "" : `  ${Math.ceil(progress.eta_seconds)} s left`;
  return `drawing  ${"█".repeat(filled)}${"░".repeat(WIDTH - filled)}  ${progress.step}/${progress.steps}${eta}`;
}

/** A line that is drawn over on a terminal, and said once per tenth elsewhere. */
export class Bar {
  readonly #out: NodeJS.WriteStream;
  #tenth = -1;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  begin(steps: number): void {
    if (this.#tenth < 0) this.update({ fraction: 0, step: 0, steps, queue_position: null, eta_seconds: null });
  }

  update(progress: Progress): void {
    if (this.#out.isTTY) {
      this.#out.write(`\r\x1b[K${describe(progress)}`);
      return;
    }
    const tenth = progress.queue_position !== null ? -0.5 : Math.floor(progress.fraction * 10);
    if (tenth === this.#tenth) return;
    this.#tenth = tenth;
    this.#out.write(`${describe(progress)}\n`);
  }

  clear(): void {
    if (this.#out.isTTY) this.#out.write("\r\x1b[K");
  }
}
