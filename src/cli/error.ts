/** What went wrong, in one sentence for the user, with the exit status that fits. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly status: number;

  /** @param status 1 when the work failed, 2 when the command line was wrong */
  constructor(message: string, status: 1 | 2 = 1) {
    super(message);
    this.status = status;
  }
}

export const usage = (message: string) => new CliError(message, 2);
