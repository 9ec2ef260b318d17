// What `wrangler deploy` runs first (wrangler.toml): the page into dist/web.
import { writeWeb } from "./lib/web.mjs";

await writeWeb();
