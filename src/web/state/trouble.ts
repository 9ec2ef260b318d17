import { ClientError } from "../../client/index.ts";

/** Something that did not work: what happened, and what to do. */
export interface Trouble {
  title: string;
  detail: string;
  remedy: "retry" | "wait" | "key" | "edit" | "none";
  /** `wait`: in how many seconds another try makes sense. */
  seconds: number | null;
  /** What is wrong with which field, by its name in the API. */
  fields: Record<string, string>;
  /** Quoted when an error is reported. */
  requestId: string | null;
}

const LATER_S = 5;

/** Puts an error into words for the visitor. */
export function explain(error: unknown, online = isOnline()): Trouble {
  const base: Trouble = { title: "", detail: "", remedy: "none", seconds: null, fields: {}, requestId: null };
  if (!(error instanceof ClientError)) {
    const detail = online
      ? "Nothing answers at this address. Is Vignette running? Once it is, try again."
      : "This device has no network. Once it has, try again.";
    return { ...base, title: online ? "The API cannot be reached" : "You are offline", detail, remedy: "retry" };
  }
  const { status, code, problem, retryAfter } = error;
  const seconds = retryAfter ?? LATER_S;
  const told = {
    ...base,
    title: problem?.title ?? `The server answered ${status}`,
    detail: problem?.detail ?? "",
    requestId: problem?.request_id ?? null,
  };
  if (status === 401) return { ...told, remedy: "key" };
  if (code === "scope_missing" || code === "operator_only") return { ...told, remedy: "key" };
  if (code === "quota_exceeded") return { ...told, detail: `${told.detail} ${whenText(seconds)}`, remedy: "none" };
  if (status === 429 || status === 503) return { ...told, remedy: "wait", seconds };
  if (status === 422 || status === 400) return { ...told, remedy: "edit", fields: byField(error) };
  if (status === 404) return { ...told, detail: "It does not exist, or not for this key; it may have been deleted." };
  if (status >= 500 && !problem)
    return { ...told, detail: "Something between this page and the API is broken.", remedy: "retry" };
  return { ...told, remedy: status >= 500 ? "retry" : "none" };
}

function byField({ problem }: ClientError): Record<string, string> {
  return Object.fromEntries(
    (problem?.errors ?? []).map(({ pointer, detail }) => [pointer.replace(/^#\//, ""), detail]),
  );
}

/** "Possible again in 5 hours." */
function whenText(seconds: number): string {
  const [size, unit] = seconds >= 5400 ? [3600, "hour"] : seconds >= 90 ? [60, "minute"] : [1, "second"];
  const count = Math.ceil(seconds / Number(size));
  return `Possible again in ${count} ${unit}${count === 1 ? "" : "s"}.`;
}

const isOnline = (): boolean => (globalThis.navigator as { onLine?: boolean }).onLine ?? true;
