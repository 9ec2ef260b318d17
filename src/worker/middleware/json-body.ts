import type { MiddlewareHandler } from "hono";
import { pointer } from "../../contract/problem.ts";
import type { AppEnv } from "../context.ts";
import { readBody } from "../read-body.ts";
import { Refusal } from "../refusal.ts";

/** More than any sensible request; a prompt that is too long should still get its own error. */
export const MAX_BODY_BYTES = 512 * 1024;
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/** Lets only whole, well-formed JSON in UTF-8 through (RFC 8259 section 8.1), before any schema looks at it. */
export function jsonBody(): MiddlewareHandler<AppEnv> {
  return async function jsonBody(c, next) {
    if (!JSON_TYPE.test(c.req.header("Content-Type") ?? ""))
      throw new Refusal("unsupported_media_type", "Send JSON with the header Content-Type: application/json.", {
        headers: { Accept: "application/json" },
      });
    const bytes = await readBody(c.req.raw, MAX_BODY_BYTES);
    const text = checkUtf8(bytes);
    checkJson(text);
    // The stream is used up: the validators after this read what was read here.
    c.req.bodyCache.text = Promise.resolve(text) as never;
    await next();
  };
}

function checkUtf8(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const at = fieldWithReplacement(new TextDecoder().decode(bytes));
    const detail = "These bytes are not UTF-8; encode the text as UTF-8 and send it again.";
    throw new Refusal("invalid_utf8", `${at}: ${detail}`, { errors: [{ pointer: at, detail }] });
  }
}

/** Where the broken bytes lie, when the rest of the body is JSON enough to tell. */
function fieldWithReplacement(text: string): string {
  try {
    for (const [name, value] of Object.entries(JSON.parse(text)))
      if (JSON.stringify(value).includes("\ufffd")) return pointer([name]);
  } catch {
    // The body as a whole is at fault then.
  }
  return "#";
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const reason = text.trim() === "" ? "it is empty" : error instanceof Error ? error.message : "it cannot be read";
    const detail = `The body must be one JSON object, but ${reason}.`;
    throw new Refusal("invalid_json", detail, { errors: [{ pointer: "#", detail }] });
  }
}
