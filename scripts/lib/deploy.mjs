import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "./command.mjs";
import { ensurePackages } from "./packages.mjs";
import { NODE_MODULES, ROOT } from "./paths.mjs";
import { Stop } from "./stop.mjs";

const QUIET = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true" };
/** The environments of wrangler.toml; the empty name is its top level. */
const PRODUCTION = "";

/**
 * `npm run deploy [-- --env staging] [-- --dry-run]`: migrations first, so that the new worker never meets the old schema;
 * then the worker; then, on a database without any key, the operator's first one. A dry run bundles and checks, and
 * touches nothing.
 * @param {string[]} args `--env NAME`, `--dry-run`; anything else is passed on to `wrangler deploy`
 * @returns {Promise<number>} exit status
 */
export async function deploy(args) {
  const { env, dryRun, rest } = readArguments(args);
  await ensurePackages();
  const where = ["--env", env];
  if (dryRun) {
    const folder = await mkdtemp(join(tmpdir(), "vignette-deploy-"));
    try {
      return (await wrangler(["deploy", ...where, "--dry-run", "--outdir", folder, ...rest], "inherit")).code;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  const migrated = await wrangler(["d1", "migrations", "apply", "DB", "--remote", ...where], "inherit");
  if (migrated.code !== 0) return migrated.code;
  const deployed = await wrangler(["deploy", ...where, ...rest], "inherit");
  if (deployed.code !== 0) return deployed.code;
  const key = await firstKey("--remote", where);
  if (key) console.log(`\nThe operator's key, shown this once: ${key}`);
  return 0;
}

/** @param {string[]} args */
function readArguments(args) {
  const rest = [...args];
  const dryRun = rest.includes("--dry-run");
  if (dryRun) rest.splice(rest.indexOf("--dry-run"), 1);
  const at = rest.indexOf("--env");
  if (at < 0) return { env: PRODUCTION, dryRun, rest };
  const [, env] = rest.splice(at, 2);
  if (env === undefined) throw new Stop("Say which environment: --env staging.", 2);
  return { env, dryRun, rest };
}

/**
 * Makes the operator's first key, unless there are keys already.
 * @param {"--remote" | "--local"} where
 * @param {string[]} [flags] further flags for `wrangler d1 execute`
 * @returns {Promise<string | undefined>} the key
 */
export async function firstKey(where, flags = []) {
  const { newKey, Scope } = await import("../../src/contract/keys.ts");
  const execute = async (sql) => {
    const { code, tail } = await wrangler(["d1", "execute", "DB", where, "--json", ...flags, "--command", sql]);
    if (code !== 0) throw new Stop(`The first key could not be made; wrangler said:\n${tail}`);
    return tail;
  };
  if (!/"n":\s*0\b/.test(await execute("SELECT count(*) AS n FROM keys"))) return undefined;
  const now = Date.now();
  const { id, secret, prefix, hash } = await newKey(now);
  // Every value is made here of letters, digits and the quotes of JSON, so none needs escaping.
  await execute(
    `INSERT INTO accounts (id, operator, created_at) VALUES ('operator', 1, ${now}) ON CONFLICT (id) DO NOTHING;
     INSERT INTO keys (id, account_id, hash, prefix, name, scopes, limits, created_at)
     VALUES ('${id}', 'operator', '${hash}', '${prefix}', 'first', '${JSON.stringify(Scope.options)}', '{}', ${now})`,
  );
  return secret;
}

// Under this Node: the script's first line would find whichever is first in PATH.
const wrangler = (args, stdio) =>
  command(process.execPath, [join(NODE_MODULES, "wrangler", "bin", "wrangler.js"), ...args], {
    cwd: ROOT,
    env: QUIET,
    stdio,
  });
