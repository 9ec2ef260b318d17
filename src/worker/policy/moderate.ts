import { type Moderation, type ModerationRequest, ModerationVerdict } from "../../contract/policy.ts";
import { receiverFault, type SendOptions } from "../webhooks/send.ts";
import { signedHeaders } from "../webhooks/sign.ts";

/** No verdict is longer. */
const MAX_ANSWER_BYTES = 16_384;

/** Asks an account's own moderation about a prompt. Null: it gave no usable answer in time. */
export async function moderate(
  { url, timeout_ms, secret }: Moderation & { secret: string },
  request: ModerationRequest,
  { id, now, webhooks }: { id: string; now: number; webhooks: SendOptions },
): Promise<ModerationVerdict | null> {
  try {
    if ((await receiverFault(url, webhooks)) !== null) return null;
    const body = JSON.stringify(request);
    const response = await webhooks.fetch(url, {
      method: "POST",
      body,
      headers: {
        ...(await signedHeaders(id, body, [secret], now)),
        "Content-Type": "application/json",
        Accept: "application/json",
      },
      redirect: "manual",
      signal: AbortSignal.timeout(timeout_ms),
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
