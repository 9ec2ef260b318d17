import { Client, ClientError, StreamError } from "../client/index.ts";
import { CliError, EXIT, type ExitStatus } from "./error.ts";
import type { Host } from "./host.ts";

/**
 * Runs `work` against a Vignette and tells its failures in sentences; an instance started for it is stopped again.
 * @param options.called which option of the command line said a field of the request
 */
export async function withClient<T>(
  host: Host,
  { called = {}, ...options }: { orStart?: boolean; called?: Record<string, string> },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connection = await host.connect(options);
  try {
    const { url, apiKey } = connection;
    const client = new Client({ url, apiKey, sleep: (ms) => host.sleep(ms), onNotice: notices(host) });
    return await Promise.race([work(client), connection.failed]);
  } catch (error) {
    throw host.signal.aborted ? error : told(error, connection.url, called);
  } finally {
    await connection.close();
  }
}

/** Tells each notice once, beside what the command says. */
function notices({ stderr }: Host): (notice: string) => void {
  const said = new Set<string>();
  return function hear(notice) {
    if (said.has(notice)) return;
    said.add(notice);
    stderr.write(`Notice: ${inWords(notice)}\n`);
  };
}

function inWords(notice: string): string {
  const [, id, reason] = /^webhook-endpoint-disabled;id=(\w+);reason=(\w+)$/.exec(notice) ?? [];
  if (!id) return notice;
  return `your webhook endpoint ${id} is out of use (${reason}); \`vignette webhooks enable ${id}\` uses it again.`;
}

function told(error: unknown, url: string, called: Record<string, string>): unknown {
  if (error instanceof ClientError) {
    const nameOf = (field: string) => called[field] ?? field;
    const fields = error.problem?.errors?.map(
      ({ pointer, detail }) => `${nameOf(pointer.replace("#/", ""))}: ${detail}`,
    );
    return new CliError(fields?.join("\n") ?? error.message, statusOf(error.status), error.problem);
  }
  if (error instanceof StreamError) return new CliError(`${url}: ${error.message}`, EXIT.unreachable);
  if (isUnanswered(error)) return new CliError(`${url} does not answer. Is Vignette running there?`, EXIT.unreachable);
  return error;
}

/** Whether it is what fetch throws when it gets no answer (https://fetch.spec.whatwg.org/#fetch-method). */
export function isUnanswered(error: unknown): boolean {
  return error instanceof TypeError && "cause" in error;
}

function statusOf(http: number): ExitStatus {
  if (http === 401 || http === 403) return EXIT.denied;
  if (http === 404 || http === 410) return EXIT.missing;
  return http === 429 ? EXIT.limited : EXIT.failed;
}
