import { type IdPrefix, idPattern } from "../../contract/ids.ts";
import { isDeliveryId } from "../../contract/webhooks.ts";
import { invalid } from "../refusal.ts";

/** A cursor is the last id of a page, made opaque so that nobody builds on what it is. */
export function writeCursor(id: string): string {
  return btoa(id).replaceAll("=", "");
}

/** @throws {import("../refusal.ts").Refusal} invalid_request */
export function readCursor(prefix: IdPrefix | "msg", cursor: string): string {
  const id = decode(cursor);
  if (id !== null && (prefix === "msg" ? isDeliveryId(id) : idPattern(prefix).test(id))) return id;
  throw invalid([
    { pointer: "#/cursor", detail: "Not a cursor of this list; send next_cursor of the page before, unchanged." },
  ]);
}

function decode(text: string): string | null {
  try {
    return atob(text);
  } catch {
    return null;
  }
}
