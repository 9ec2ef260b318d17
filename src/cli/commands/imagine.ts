import { writeFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Client } from "../../client/index.ts";
import type { CreateGenerationInput, Generation, Image, OutputFormat } from "../../contract/index.ts";
import { Bar } from "../bar.ts";
import { CliError, usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, number, parse } from "../options.ts";
import { withClient } from "../session.ts";

const FORMATS: Record<string, OutputFormat> = { ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp" };

export const IMAGINE_HELP = `vignette imagine "a sentence" [options]
  -o, --output FILE    where the picture goes (.png, .jpg, .webp); default: named after the sentence and the seed
      --seed N         the same seed and settings draw the same picture
      --steps N        denoising steps
      --guidance N     guidance scale
      --scheduler NAME a diffusers scheduler
      --scale N        strength of the adapter, 0 to 2
      --adapter ID     another adapter than the model's default
      --no-adapter     without any adapter
      --model ID       a model of \`vignette models\`
      --width N, --height N   pixels
      --negative TEXT  what the picture must not show
      --images N       how many, 1 to 4
      --json           print the generation as JSON`;

const OPTIONS = {
  output: { type: "string", short: "o" },
  seed: { type: "string" },
  steps: { type: "string" },
  guidance: { type: "string" },
  scheduler: { type: "string" },
  scale: { type: "string" },
  adapter: { type: "string" },
  "no-adapter": { type: "boolean" },
  model: { type: "string" },
  width: { type: "string" },
  height: { type: "string" },
  negative: { type: "string" },
  images: { type: "string" },
  json: { type: "boolean" },
} as const;

/** Draws a sentence and writes the pictures to disk. */
export async function imagine(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, OPTIONS);
  const prompt = positionals.join(" ").trim();
  if (prompt === "")
    throw usage('Say what the picture shows: vignette imagine "two purple cats fell asleep on the beach"');
  if (values.adapter !== undefined && values["no-adapter"])
    throw usage("--adapter and --no-adapter exclude each other.");
  const format = values.output === undefined ? "png" : FORMATS[extname(values.output).toLowerCase()];
  if (!format) throw usage(`--output is ${values.output}; its name must end in .png, .jpg or .webp.`);
  const request: CreateGenerationInput = given({
    prompt,
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

  return withClient(host, { orStart: true }, async (client) => {
    const generation = await draw(client, request, host);
    const files = await Promise.all(
      generation.images.map(async (image) => {
        const path = host.fromHere(fileName(values.output, generation, image, format));
        await save(path, await client.image(image));
        return path;
      }),
    );
    if (values.json) host.stdout.write(`${JSON.stringify({ ...generation, files }, null, 2)}\n`);
    else for (const file of files) host.stdout.write(`${file}\n`);
    host.stderr.write(understood(generation));
    return 0;
  });
}

async function draw(client: Client, request: CreateGenerationInput, host: Host): Promise<Generation> {
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
