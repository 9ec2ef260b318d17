import { again } from "../../bots/core/order.ts";
import type { Generation } from "../../contract/generation.ts";

/** The request that draws this picture again, the seed included. */
export function recipeOf(generation: Generation): Record<string, unknown> {
  return { ...again(generation), seed: generation.parameters.seed };
}

/** A command line that draws this picture. The key comes from the environment: it is in no text that is copied. */
export function curlOf(generation: Generation, origin: string): string {
  // Inside single quotes a shell takes everything as it is, but for the quote itself.
  const body = JSON.stringify(recipeOf(generation)).replaceAll("'", `'\\''`);
  return [
    `curl ${origin}/v1/generations`,
    `-H "Authorization: Bearer $VIGNETTE_API_KEY"`,
    `-H 'Content-Type: application/json'`,
    `-H 'Prefer: wait=60'`,
    `-d '${body}'`,
  ].join(" \\\n  ");
}

/** The same with the typed client. */
export function codeOf(generation: Generation, origin: string): string {
  const recipe = JSON.stringify(recipeOf(generation), null, 2).replaceAll("\n", "\n  ");
  return `import { Client } from "vignette-client";

const client = new Client({ url: "${origin}", apiKey: process.env.VIGNETTE_API_KEY });
const generation = await client.generations.create(
  ${recipe},
  { wait: 60 },
);
console.log(generation.images[0].url);
`;
}
