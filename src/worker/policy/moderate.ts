import { type Moderation, type ModerationRequest, ModerationVerdict } from "../../contract/policy.ts";
import { receiverFault, type SendOptions } from "../webhooks/send.ts";
import { type SigningSecret, secretsAt, signedHeaders } from "../webhooks/sign.ts";

/** No verdict is longer. */
const MAX_ANSWER_BYTES = 16_384;

interface How {
  id: string;
  now: number;
  webhooks: SendOptions;
}

/** Asks an account's own moderation about a prompt. Null: it gave no usable answer in time. */
export async function moderate(
  moderation: Moderation & SigningSecret,
  request: ModerationRequest,
  how: How,
): Promise<ModerationVerdict | null> {
  // From the look-up of its name to the last byte of its answer: a prompt waits no longer than the account allows.
  const over = AbortSignal.timeout(moderation.timeout_ms);
  const late = new Promise<null>((resolve) => over.addEventListener("abort", () => resolve(null)));
  return Promise.race([ask(moderation, request, how, over), late]);
}

async function ask(
  { url, ...signing }: Moderation & SigningSecret,
  request: ModerationRequest,
  { id, now, webhooks }: How,
  signal: AbortSignal,
): Promise<ModerationVerdict | null> {
  try {
    if ((await receiverFault(url, webhooks, signal)) !== null) return null;
    const body = JSON.stringify(request);
    const response = await webhooks.fetch(url, {
      method: "POST",
      body,
      headers: {
        ...(await signedHeaders(id, body, secretsAt(signing, now), now)),
        "Content-Type": "application/json",
        Accept: "application/json",
      },
      redirect: "manual",
      signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      return null;
    }
    const text = await shortText(response);
    const verdict = ModerationVerdict.safeParse(text === null ? null : JSON.parse(text));
    return verdict.success ? verdict.data : null;
  } catch {
    return null;
  }
}

/** The answer's body; null, and no more of it is read, when it is too long for a verdict. */
async function shortText({ body }: Response): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (size > MAX_ANSWER_BYTES) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
