import type { Problem } from "../contract/problem.ts";

/** The API refused a request; `problem` says why in its own words. */
export class ClientError extends Error {
  readonly status: number;
  /** RFC 9457 details; null when the answer was not the API's. */
  readonly problem: Problem | null;
  /** Seconds to wait before another try, if the answer named any. */
  readonly retryAfter: number | null;

  constructor(status: number, problem: Problem | null, retryAfter: number | null) {
    super(problem ? `${problem.title}: ${problem.detail}` : `The server answered ${status}.`);
    this.name = "ClientError";
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  get code(): string {
    return this.problem?.code ?? "unknown";
  }

  static async from(response: Response): Promise<ClientError> {
    const after = response.headers.get("Retry-After");
    const body: unknown = await response.json().catch(() => null);
    return new ClientError(
      response.status,
      isProblem(body) ? body : null,
      after && /^\d+$/.test(after) ? Number(after) : null,
    );
  }
}

/** The event stream ended time and again with nothing in it, as behind a proxy that cuts it off. */
export class StreamError extends Error {
  constructor() {
    super("The event stream ends time and again with nothing in it.");
    this.name = "StreamError";
  }
}

/** A proxy's error page is no answer of the API's. */
function isProblem(body: unknown): body is Problem {
  const { code, title, detail } = (body ?? {}) as Record<string, unknown>;
  return [code, title, detail].every((text) => typeof text === "string");
}
