import type { CreateGeneration, Generation } from "../../contract/generation.ts";
import type { CreateImages, Images } from "../../contract/openai.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import { currentModels } from "./models.ts";

/** Denoising steps by OpenAI's word for quality, against the model's default. */
const STEPS: Record<string, number> = { low: 0.5, high: 1.5, hd: 1.5 };

/** OpenAI's request as ours. @throws {Refusal} invalid_request */
export async function fromOpenAI(deps: Deps, request: CreateImages): Promise<CreateGeneration> {
  if (request.stream && request.response_format === "url")
    throw invalid([
      {
        pointer: "#/response_format",
        detail: "A stream carries b64_json; leave response_format out or do not stream.",
      },
    ]);
  const size = request.size && request.size !== "auto" ? request.size.split("x").map(Number) : null;
  const off = size?.findIndex((side) => side % 8 !== 0 || side > 4096) ?? -1;
  if (off >= 0) throw invalid([{ pointer: "#/size", detail: "Width and height are multiples of 8, 4096 at most." }]);
  const factor = STEPS[request.quality ?? "auto"];
  return {
    prompt: request.prompt,
    negative_prompt: request.negative_prompt,
    model: request.model,
    adapter: request.adapter,
    adapter_scale: request.adapter_scale,
    width: size?.[0],
    height: size?.[1],
    num_inference_steps:
      request.num_inference_steps ?? (factor ? await stepsFor(deps, request.model, factor) : undefined),
    guidance_scale: request.guidance_scale,
    scheduler: request.scheduler,
    seed: request.seed,
    num_images: request.n ?? 1,
    output_format: request.output_format ?? "png",
    previews: request.stream ? (request.partial_images ?? 0) : 0,
    user: request.user,
    metadata: request.metadata,
  };
}

/** What OpenAI's API answers for a generation that succeeded. @throws {Refusal} generation_failed, timeout */
export async function toOpenAI(deps: Deps, generation: Generation, request: CreateImages): Promise<Images> {
  if (generation.status !== "succeeded") throw unsuccessful(generation);
  const inline = request.stream || request.response_format === "b64_json";
  const data = inline
    ? (await bytesOf(deps, generation.id)).map((bytes) => ({ b64_json: base64(bytes) }))
    : generation.images.map(({ url }) => ({ url }));
  return { data, ...drawn(generation, request) };
}

export function drawn(generation: Generation, request: CreateImages): Omit<Images, "data"> {
  const { width, height, output_format } = generation.parameters;
  return {
    created: Math.floor(Date.parse(generation.created_at) / 1000),
    background: "opaque",
    output_format,
    quality: request.quality ?? "auto",
    size: `${width}x${height}`,
  };
}

function unsuccessful({ id, status, error }: Generation): Refusal {
  if (status === "failed" || status === "canceled")
    return new Refusal("generation_failed", error?.message ?? "The generation was canceled.", {
      headers: { "x-should-retry": "false" },
    });
  return new Refusal("still_drawing", `The picture is not done yet; GET /v1/generations/${id} follows it.`, {
    headers: { "x-should-retry": "false" },
  });
}

async function stepsFor(deps: Deps, id: string | undefined, factor: number): Promise<number | undefined> {
  const { models } = await currentModels(deps);
  const model = models.find((each) => (id === undefined ? each.default : each.id === id));
  // An unknown model is refused by name further on.
  if (!model) return undefined;
  return Math.min(model.limits.max_steps, Math.max(1, Math.round(model.defaults.num_inference_steps * factor)));
}

async function bytesOf(deps: Deps, id: string): Promise<Uint8Array[]> {
  const images = (await deps.images.of([id])).get(id) ?? [];
  return Promise.all(
    images.map(async ({ objectKey }) => {
      const body = await deps.objects.get(objectKey);
      if (!body) throw new Refusal("not_found", "The picture was deleted meanwhile.");
      return new Uint8Array(await new Response(body).arrayBuffer());
    }),
  );
}

function base64(bytes: Uint8Array): string {
  let text = "";
  // In parts: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
