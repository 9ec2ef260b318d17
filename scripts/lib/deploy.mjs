import { command } from "./command.mjs";
import { ensurePackages } from "./packages.mjs";
import { NODE_MODULES, ROOT } from "./paths.mjs";

/** `npm run deploy`: migrations first, so that the new worker never meets the old schema. */
export async function deploy(args) {
  await ensurePackages();
  const wrangler = (...rest) => command(`${NODE_MODULES}/.bin/wrangler`, rest, { cwd: ROOT, stdio: "inherit" });
  const { code } = await wrangler("d1", "migrations", "apply", "DB", "--remote");
  return code || (await wrangler("deploy", ...args)).code;
}
