/** The Vignette that a command talks to. */
export interface Connection {
  readonly url: string;
  readonly apiKey: string;
  /** Rejects with a sentence when an instance started for this command is lost. */
  readonly failed: Promise<never>;
  /** Stops an instance started for this command; leaves any other alone. */
  close(): Promise<void>;
}

/** What the launcher lends to the commands: they know neither processes nor the environment. */
export interface Host {
  connect(options?: { orStart?: boolean }): Promise<Connection>;
  /** Resolves a path against the folder where the command was typed. */
  fromHere(path: string): string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Resolves after so many milliseconds, or as soon as `signal` aborts. */
  sleep(ms: number): Promise<void>;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}
