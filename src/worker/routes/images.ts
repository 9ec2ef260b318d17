import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { imageResponse } from "../image-response.ts";
import { findImage } from "../services/images.ts";
import { problems } from "./shared.ts";

const image = createRoute({
  method: "get",
  path: "/i/{file}",
  summary: "An image",
  description: "`{token}.{ext}`: unguessable, so no key is needed; immutable, so it may be cached for ever.",
  request: { params: z.object({ file: z.string() }) },
  responses: {
    200: { description: "The image." },
    206: { description: "The part that `Range` asked for." },
    304: { description: "`If-None-Match` names this image." },
    ...problems(404, 416),
  },
});

const FILE = /^([0-9a-f]{32})\.([a-z]{3,4})$/;

export function registerImages(app: OpenAPIHono<AppEnv>): void {
  app.openapi(image, async (c) => {
    const [, token = "", extension = ""] = FILE.exec(c.req.valid("param").file) ?? [];
    const { image: found, maxAge } = await findImage(c.get("deps"), token, extension);
    return imageResponse(c, found, `public, max-age=${maxAge}, immutable`);
  });
}
