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

  constructor(message: string, status: ExitStatus = EXIT.failed) {
    super(message);
    this.status = status;
  }
}

export const usage = (message: string) => new CliError(message, EXIT.usage);
