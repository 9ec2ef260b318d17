import { command } from "./command.mjs";
import { ensurePackages } from "./packages.mjs";
import { NODE_MODULES, ROOT } from "./paths.mjs";
import { Stop } from "./stop.mjs";

/**
 * `npm run deploy`: migrations first, so that the new worker never meets the old schema; then the worker; then, on a
 * database without any key, the operator's first one.
 * @param {string[]} args passed on to `wrangler deploy`
 * @returns {Promise<number>} exit status
 */
export async function deploy(args) {
  await ensurePackages();
  const migrated = await wrangler(["d1", "migrations", "apply", "DB", "--remote"], "inherit");
  if (migrated.code !== 0) return migrated.code;
  const deployed = await wrangler(["deploy", ...args], "inherit");
  if (deployed.code !== 0) return deployed.code;
  const key = await firstKey("--remote");
  if (key) console.log(`\nThe operator's key, shown this once: ${key}`);
  return 0;
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

const wrangler = (args, stdio) => command(`${NODE_MODULES}/.bin/wrangler`, args, { cwd: ROOT, stdio });
