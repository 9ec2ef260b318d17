import { effect, signal } from "@preact/signals";

const SLOT = "vignette.key";
const channel = new BroadcastChannel("vignette.session");

/** The API key: in this tab's session storage and nowhere else; undefined until it is known whether there is one. */
export const key = signal<string | null | undefined>(sessionStorage.getItem(SLOT) ?? undefined);
/** Why the last key was put away. */
export const refused = signal<string | null>(null);

/** Whether this page is served by `npm start`, which hands the key out itself. */
const local = document.querySelector('meta[name="session"]')?.getAttribute("content") === "local";
/** How long another tab may take to answer. */
const SIBLING_MS = 150;

/** Uses a key from now on, or none. */
export function setKey(next: string | null): void {
  if (next !== null) refused.value = null;
  if (next === null) sessionStorage.removeItem(SLOT);
  else sessionStorage.setItem(SLOT, next);
  key.value = next;
}

/** Puts the key away in this tab and in every other. */
export function signOut(): void {
  setKey(null);
  channel.postMessage({ type: "out" });
}

/** The API does not take the key. Where the page can have another it takes that; else the visitor is asked. */
export async function refuse(secret: string, detail: string): Promise<void> {
  if (key.value !== secret) return;
  sessionStorage.removeItem(SLOT);
  key.value = undefined;
  const found = await find();
  if (found === null || found === secret) refused.value = detail;
  setKey(found === secret ? null : found);
}

/** Finds a key: this tab's, the one that `npm start` hands out, another tab's; else it stays with asking. */
export async function open(): Promise<void> {
  if (key.value === undefined) setKey(await find());
}

/** Resolves once it is known whether there is a key. */
export function settledKey(): Promise<void> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (key.value === undefined) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

async function find(): Promise<string | null> {
  if (!local) return fromSibling();
  try {
    // A POST, which no link and no image can send; the edge looks at where it comes from.
    const answer = await fetch("/dev/session", { method: "POST" });
    return answer.ok ? ((await answer.json()) as { api_key: string }).api_key : fromSibling();
  } catch {
    return fromSibling();
  }
}

function fromSibling(): Promise<string | null> {
  return new Promise((resolve) => {
    const heard = new AbortController();
    const end = (found: string | null) => {
      heard.abort();
      resolve(found);
    };
    const answer = ({ data }: MessageEvent) => data.type === "key" && end(data.key);
    channel.addEventListener("message", answer, { signal: heard.signal });
    setTimeout(end, SIBLING_MS, null);
    channel.postMessage({ type: "ask" });
  });
}

channel.addEventListener("message", ({ data }) => {
  if (data.type === "ask" && key.value) channel.postMessage({ type: "key", key: key.value });
  if (data.type === "out") setKey(null);
});
