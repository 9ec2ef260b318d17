import { writeWeb } from "../../scripts/lib/web.mjs";

/** The worker serves the built page. Here and not in the configuration, which Vitest loads several times at once. */
export const setup = () => writeWeb();
