import { writeFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Client } from "../../client/index.ts";
import type { CreateGenerationInput, Generation, Image, OutputFormat } from "../../contract/index.ts";
import { Bar } from "../bar.ts";
import { command } from "../command.ts";
import { CliError, usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, number } from "../options.ts";
import { printJson } from "../print.ts";
import { otherWeights, recipeOf } from "../recipe.ts";
import { withClient } from "../session.ts";

/** The options whose names are shorter than the API's. */
const CALLED = {
  negative_prompt: "--negative",
  adapter_scale: "--scale",
  num_inference_steps: "--steps",
  guidance_scale: "--guidance",
  num_images: "--images",
  model: "--model",
  adapter: "--adapter",
  width: "--width",
  height: "--height",
  scheduler: "--scheduler",
  seed: "--seed",
};

const FORMATS: Record<string, OutputFormat> = { ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp" };

const OPTIONS = {
  output: {
    type: "string",
    short: "o",
    value: "FILE",
    help: "where the picture goes (.png, .jpg, .webp); named after the sentence and the seed when left out",
  },
  seed: { type: "string", value: "N", help: "the same seed and settings draw the same picture" },
  steps: { type: "string", value: "N", help: "denoising steps" },
  guidance: { type: "string", value: "N", help: "guidance scale" },
  scheduler: { type: "string", value: "NAME", help: "a diffusers scheduler" },
  scale: { type: "string", value: "N", help: "strength of the adapter, 0 to 2" },
  adapter: { type: "string", value: "ID", help: "another adapter than the model's default" },
  "no-adapter": { type: "boolean", help: "without any adapter" },
  model: { type: "string", value: "ID", help: "a model of `vignette models`" },
  width: { type: "string", value: "N", help: "pixels" },
  height: { type: "string", value: "N", help: "pixels" },
  negative: { type: "string", help: "what the picture must not show" },
  images: { type: "string", value: "N", help: "how many, 1 to 4" },
  like: {
    type: "string",
    value: "FILE",
    help: "as that picture was drawn, prompt and seed included; what else is given replaces its part",
  },
} as const;

export const imagine = command({
  summary: "draw a sentence and write the picture to disk",
  args: '"a sentence"',
  details: "Uses the Vignette that runs here; when none does, one is started and stopped again.",
  options: OPTIONS,
  run: draw,
});

async function draw(
  values: { [Name in keyof typeof OPTIONS]?: (typeof OPTIONS)[Name]["type"] extends "boolean" ? boolean : string } & {
    json?: boolean;
  },
  positionals: string[],
  host: Host,
): Promise<number> {
  const like = values.like === undefined ? undefined : await recipeOf(host.fromHere(values.like));
  const prompt = positionals.join(" ").trim() || like?.request.prompt;
  if (!prompt) throw usage('Say what the picture shows: vignette imagine "two purple cats fell asleep on the beach"');
  if (values.adapter !== undefined && values["no-adapter"])
    throw usage("--adapter and --no-adapter exclude each other.");
  const format = values.output === undefined ? "png" : FORMATS[extname(values.output).toLowerCase()];
  if (!format) throw usage(`--output is ${values.output}; its name must end in .png, .jpg or .webp.`);
  const said = given({
    negative_prompt: values.negative,
    model: values.model,
    adapter: values["no-adapter"] ? null : values.adapter,
    adapter_scale: number("scale", values.scale),
    width: number("width", values.width),
    height: number("height", values.height),
    num_inference_steps: number("steps", values.steps),
    guidance_scale: number("guidance", values.guidance),
    scheduler: values.scheduler,
    seed: number("seed", values.seed),
    num_images: number("images", values.images),
    output_format: format,
  });
  const request: CreateGenerationInput = { ...like?.request, ...said, prompt };
  // The picture's scale was that of its own adapter.
  if (said.adapter !== undefined && said.adapter_scale === undefined) delete request.adapter_scale;

  return withClient(host, { orStart: true, called: CALLED }, async (client) => {
    // Asked for another model, nobody expects the same picture.
    const warning = like && request.model === like.request.model && otherWeights(like, await client.models.list());
    if (warning) host.stderr.write(`${warning}\n`);
    const generation = await follow(client, request, host);
    const files = await Promise.all(
      generation.images.map(async (image) => {
        const path = host.fromHere(fileName(values.output, generation, image, format));
        await save(path, await client.image(image));
        return path;
      }),
    );
    if (values.json) printJson(host, { ...generation, files });
    else for (const file of files) host.stdout.write(`${file}\n`);
    host.stderr.write(understood(generation));
    return 0;
  });
}

async function follow(client: Client, request: CreateGenerationInput, host: Host): Promise<Generation> {
  const bar = new Bar(host.stderr);
  const { id, parameters } = await client.generations.create(request, { signal: host.signal });
  try {
    for await (const event of client.generations.events(id, { signal: host.signal })) {
      if (event.type === "progress") bar.update(event.data);
      // A quick picture may be done before the first progress is told.
      if (event.type === "status" && event.data.status === "running") bar.begin(parameters.num_inference_steps);
      if (event.type === "completed") return finished(event.data);
    }
    return finished(await client.generations.get(id));
  } catch (error) {
    // Nobody waits for this picture any more; an instance that goes on should not draw it.
    if (host.signal.aborted) await client.generations.cancel(id).catch(() => {});
    throw error;
  } finally {
    bar.clear();
  }
}

function finished(generation: Generation): Generation {
  if (generation.status === "succeeded") return generation;
  throw new CliError(generation.error?.message ?? `The generation ended as ${generation.status}.`);
}

/** How the sentence was read, for a person; scripts take stdout. */
export function understood({ reading, notice }: Pick<Generation, "reading" | "notice">): string {
  const tags = reading?.map(({ tag }) => tag).join(", ");
  return (tags ? `understood: ${tags}\n` : "") + (notice ? `${notice}\n` : "");
}

/** `-o cats.png` for one picture; `cats-2.png` and so on for the further ones. */
function fileName(output: string | undefined, generation: Generation, image: Image, format: OutputFormat): string {
  if (output === undefined) {
    const slug = generation.prompt
      .toLowerCase()
      .normalize("NFKD")
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "");
    return `${slug.slice(0, 60).replace(/-$/, "") || "vignette"}-${image.seed}.${format === "jpeg" ? "jpg" : format}`;
  }
  if (image.index === 0) return output;
  const extension = extname(output);
  return `${output.slice(0, -extension.length)}-${image.index + 1}${extension}`;
}

async function save(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (error) {
    throw new CliError(
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code}). Choose another place with -o.`,
    );
  }
}
