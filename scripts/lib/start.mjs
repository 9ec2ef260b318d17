import { bots, hasTokens } from "./bots.mjs";
import { startInstance } from "./instance.mjs";
import { interrupted, interruption } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { ensureVenv } from "./python.mjs";
import { readSettings } from "./settings.mjs";

/** `npm start`: both halves, until asked to stop or until one is lost for good. */
export async function start() {
  const settings = readSettings(process.env);
  await ensurePackages();
  await ensureVenv();
  const instance = await startInstance(settings, { signal: interruption });
  try {
    console.log(greeting(instance, settings));
    // A bot that cannot run says so and leaves the rest alone.
    if (hasTokens(process.env)) void bots([], instance).catch(({ message }) => console.error(`No bot: ${message}`));
    await Promise.race([interrupted(), instance.failed]);
  } finally {
    await instance.stop();
  }
  return 0; // stopped because somebody wished it
}

const greeting = ({ url, apiKey }, { pageKey }) => `
Vignette is ready at ${url}
Open it in a browser and describe a picture${pageKey ? "" : "; the page asks for the key"}.
API key: ${apiKey}

  curl -s ${url}/v1/generations -H 'Authorization: Bearer ${apiKey}' \\
    -H 'Content-Type: application/json' -H 'Prefer: wait=60' \\
    -d '{"prompt": "two purple cats fell asleep on the beach"}'

Ctrl-C stops everything.`;
