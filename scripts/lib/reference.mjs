import plugin from "@scalar/fastify-api-reference";

const SCRIPT = "/reference/js/scalar.js";

/**
 * Scalar's API reference as one browser script (MIT). It comes out of Scalar's own server plugin, which carries the bundle;
 * the package that the bundle is made from brings two hundred others along. The plugin is asked for it as a server would.
 * @returns {string}
 */
export function referenceScript() {
  const routes = new Map();
  plugin(
    { hasPlugin: () => false, route: (route) => routes.set(route.url, route), log: console, initialConfig: {} },
    { routePrefix: "/reference", configuration: { url: "/openapi.json" } },
    () => {},
  );
  let script;
  const reply = { header: () => reply, send: (contents) => (script = contents) };
  routes.get(SCRIPT)?.handler({}, reply);
  if (typeof script !== "string") throw new Error(`@scalar/fastify-api-reference serves no ${SCRIPT} any more.`);
  // Its map is not served.
  return script.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
}
