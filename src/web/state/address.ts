export type Route =
  | { page: "imagine"; id: string | null }
  | { page: "compare"; ids: string[] }
  | { page: "gallery"; id: string | null }
  | { page: "console"; part: ConsolePart }
  | { page: "study" }
  | { page: "nowhere" };

export const CONSOLE_PARTS = ["keys", "usage", "webhooks", "limits"] as const;
export type ConsolePart = (typeof CONSOLE_PARTS)[number];

/** What an address of the page asks for. The worker serves the page at each (src/worker/routes/page.ts). */
export function parse(address: string): Route {
  const { pathname, searchParams } = new URL(address, "http://page");
  const [, first = "", second = "", more] = pathname.split("/");
  if (more !== undefined) return { page: "nowhere" };
  if (first === "" && second === "") return { page: "imagine", id: null };
  if (first === "g" && second !== "") return { page: "imagine", id: second };
  if (first === "gallery") return { page: "gallery", id: second || null };
  if (first === "console") {
    const part = second === "" ? "keys" : CONSOLE_PARTS.find((name) => name === second);
    return part ? { page: "console", part } : { page: "nowhere" };
  }
  if (second !== "") return { page: "nowhere" };
  if (first === "compare") return { page: "compare", ids: searchParams.get("ids")?.split(",").filter(Boolean) ?? [] };
  return { page: first === "study" ? "study" : "nowhere" };
}
