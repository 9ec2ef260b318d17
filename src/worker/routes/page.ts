import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppContext, AppEnv } from "../context.ts";
import { fillTemplate } from "../html.ts";
import { imageResponse } from "../image-response.ts";
import { onNotFound } from "../problems.ts";
import { fromThisMachine } from "../same-origin.ts";
import { sharedImage } from "../services/shares.ts";
import { shareUrl } from "../services/view.ts";

/** Every address that the page gives itself; src/web/state/router.ts reads them. */
const PAGES = ["/", "/g/:id", "/compare", "/gallery", "/gallery/:id", "/console", "/console/:part", "/study"];
const FILES = ["/assets/:file", "/favicon.svg", "/robots.txt"];

/**
 * What a page may do: run our scripts and styles, show our pictures, talk to us; nothing inline, nothing from elsewhere,
 * in nobody's frame, and no markup made of strings.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export const PAGE_HEADERS = {
  "Content-Security-Policy": POLICY,
  "Content-Type": "text/html; charset=utf-8",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  // An image's address is the right to see it, so other sites do not get it told.
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** How long others may keep what is shared: it can be taken back. */
const SHARED_FOR = "public, max-age=60";
const TITLE_CHARS = 70;

/** The playground and the pages of shared pictures; no part of the public description. */
export function registerPage(app: OpenAPIHono<AppEnv>): void {
  for (const path of PAGES) app.get(path, (c) => page(c, 200));
  // Under a deployment the platform answers /assets itself, without this worker.
  for (const path of FILES) app.get(path, async (c) => own(await c.env.ASSETS.fetch(c.req.raw)));
  app.get("/s/:token", async (c) => (await sharePage(c, c.req.param("token"))) ?? absent(c));
  // Under its own address, so that the picture goes when its page does.
  app.get("/s/:token/picture", async (c) => {
    const shared = await sharedImage(c.get("deps"), c.req.param("token"));
    return shared ? imageResponse(c, shared.image, SHARED_FOR) : onNotFound(c);
  });
  app.post("/dev/session", async (c) => {
    if (!c.env.DEV_SESSION || !fromThisMachine(c.req.raw)) return onNotFound(c);
    return own(await c.env.DEV_SESSION.fetch("http://session/"));
  });
}

/** A fetched answer whose headers can be added to. */
const own = (response: Response): Response => new Response(response.body, response);

/** Whether a person looks for a page here, rather than a program for the API. */
function isNavigation(c: AppContext): boolean {
  const wants = c.req.header("Accept") ?? "";
  return c.req.method === "GET" && /(^|,)\s*text\/html\b/.test(wants);
}

/** The application, which reads its address itself. */
async function page(c: AppContext, status: 200 | 404): Promise<Response> {
  const shell = await readTemplate(c, "index.html");
  // Only a page that can have a key without being given one asks for it.
  const html = shell.replace(
    'name="session" content="ask"',
    `name="session" content="${c.env.DEV_SESSION ? "local" : "ask"}"`,
  );
  return new Response(html, { status, headers: { ...PAGE_HEADERS, "Cache-Control": "no-cache" } });
}

/** A picture for whoever has its address; null when nothing is shared there. */
async function sharePage(c: AppContext, token: string): Promise<Response | null> {
  const shared = await sharedImage(c.get("deps"), token);
  if (!shared) return null;
  const { image, showPrompt, generation } = shared;
  const url = shareUrl(c.get("deps").config.PUBLIC_URL, token);
  const told = showPrompt ? generation.prompt : "A picture drawn with Vignette";
  const adapter = generation.adapter ? `adapter ${generation.adapter.id} × ${generation.adapter.scale}` : "no adapter";
  const html = fillTemplate(await readTemplate(c, "share.html"), {
    title: told.length > TITLE_CHARS ? `${told.slice(0, TITLE_CHARS - 1).trimEnd()}…` : told,
    told,
    facts: showPrompt ? `${generation.model} · ${adapter} · seed ${image.seed}` : "",
    day: new Date(generation.createdAt).toISOString().slice(0, 10),
    url,
    picture: `${url}/picture`,
    source: `/s/${token}/picture`,
    file: `vignette-${image.seed}.${image.extension}`,
    type: image.contentType,
    width: String(image.width),
    height: String(image.height),
  });
  return new Response(html, { headers: { ...PAGE_HEADERS, "Cache-Control": SHARED_FOR } });
}

/** Nothing is here: a page for a person, a problem for a program. */
export const absent = (c: AppContext) => (isNavigation(c) ? page(c, 404) : onNotFound(c));

/** A built HTML file. */
export async function readTemplate(c: AppContext, name: string): Promise<string> {
  const file = await c.env.ASSETS.fetch(new URL(`/${name}`, c.req.url));
  if (!file.ok) throw new Error(`the page's ${name} is not there: it was deployed without being built`);
  return file.text();
}
