import { performance } from "node:perf_hooks";

/** The instance under measurement. */
export interface Target {
  readonly url: string;
  readonly apiKey: string;
}

/** One finished picture: milliseconds from sending the request to holding the bytes, and the runner's part of them. */
export interface Sample {
  readonly totalMs: number;
  readonly runMs: number;
}

/** Narratives of the kind the miniature is for; a run goes through them in turn. */
export const PROMPTS = [
  "three little purple cats have fallen asleep on the beach",
  "at night, two green rabbits jump for joy in the snow",
  "a lonely blue robot stands in the middle of the desert",
  "an orange butterfly was flying over the meadow where a cow rested",
  "somebody left four red balloons in my room",
  "the penguin my sister loves slept in the snow",
];

/**
 * Draws one picture and waits for its bytes, as a customer would: `Prefer: wait`, then the image's URL.
 * @param seed also picks the prompt
 */
export async function draw({ url, apiKey }: Target, seed: number): Promise<Sample> {
  const began = performance.now();
  const reply = await fetch(`${url}/v1/generations`, {
    method: "POST",
    // Seeds come again at every number of clients; each picture is to be drawn, not found in the cache.
    headers: {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      prefer: "wait=60",
      "cache-control": "no-cache",
    },
    body: JSON.stringify({ prompt: PROMPTS[seed % PROMPTS.length], seed }),
  });
  const generation = (await reply.json()) as {
    status: string;
    detail?: string;
    error?: { message: string };
    images: { url: string }[];
    metrics: { run_ms: number };
  };
  const image = generation.images?.[0];
  if (reply.status !== 201 || generation.status !== "succeeded" || !image)
    throw new Error(
      `The edge answered ${reply.status}: ${generation.detail ?? generation.error?.message ?? generation.status}`,
    );
  const bytes = await fetch(image.url).then((picture) => picture.arrayBuffer());
  const totalMs = performance.now() - began;
  if (bytes.byteLength === 0) throw new Error("The image has no bytes.");
  return { totalMs, runMs: generation.metrics.run_ms };
}
