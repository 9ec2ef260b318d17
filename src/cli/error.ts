import type { Problem } from "../contract/problem.ts";

/**
 * How the command line ends (the help of `vignette` lists it; sysexits.h begins at 64, the shell's own at 126).
 * 0 done, 1 the work failed, 2 the command line was wrong, then what a script may want to tell apart.
 */
export const EXIT = { failed: 1, usage: 2, unreachable: 3, denied: 4, missing: 5, limited: 6 } as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** What went wrong, in one sentence for the user, with the exit status that fits. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly status: ExitStatus;
  /** The API's own words, where it was the API that refused. */
  readonly problem: Problem | null;

  constructor(message: string, status: ExitStatus = EXIT.failed, problem: Problem | null = null) {
    super(message);
    this.status = status;
    this.problem = problem;
  }

  /** For scripts: what the API said, or the same members (RFC 9457) for what it never heard of. */
  toJSON(): object {
    const [code = "failed"] = Object.entries(EXIT).find(([, status]) => status === this.status) ?? [];
    return this.problem ?? { code, detail: this.message };
  }
}

export const usage = (message: string) => new CliError(message, EXIT.usage);
