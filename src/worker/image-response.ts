import type { AppContext } from "./context.ts";
import { parseRange } from "./range.ts";
import { Refusal } from "./refusal.ts";
import { openImage } from "./services/images.ts";
import type { ImageRow } from "./storage/images.ts";

/**
 * An image's bytes: whole, in part where `Range` asks for one, or not at all where the client has them.
 *
 * @throws {Refusal} range_not_satisfiable, not_found
 */
export async function imageResponse(c: AppContext, found: ImageRow, cacheControl: string): Promise<Response> {
  const etag = `"${found.sha256}"`;
  const headers = new Headers({
    ETag: etag,
    "Accept-Ranges": "bytes",
    "Cache-Control": cacheControl,
    "Content-Type": found.contentType,
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
  });
  if (names(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
  const range = parseRange(rangeOf(c, etag), found.bytes);
  if (range.kind === "unsatisfiable")
    throw new Refusal("range_not_satisfiable", `The image has ${found.bytes} bytes.`, {
      headers: { "Content-Range": `bytes */${found.bytes}` },
    });
  if (range.kind === "whole") {
    headers.set("Content-Length", String(found.bytes));
    // Nothing would read the object that is opened for it.
    if (c.req.method === "HEAD") return new Response(null, { headers });
    return new Response(await openImage(c.get("deps"), found), { headers });
  }
  headers.set("Content-Length", String(range.length));
  headers.set("Content-Range", `bytes ${range.offset}-${range.offset + range.length - 1}/${found.bytes}`);
  return new Response(await openImage(c.get("deps"), found, range), { status: 206, headers });
}

/** What part is asked for, unless on the condition of another image (RFC 9110 section 13.1.5). */
function rangeOf(c: AppContext, etag: string): string | undefined {
  const range = c.req.header("Range");
  if (range === undefined) return undefined;
  return [undefined, etag].includes(c.req.header("If-Range")) ? range : undefined;
}

/** Whether `If-None-Match` holds this tag; the comparison is weak (RFC 9110 section 13.1.2). */
function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === "*" || header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
