import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Client } from "../../client/index.ts";
import type { Feedback } from "../../contract/feedback.ts";
import { command, group } from "../command.ts";
import { usage } from "../error.ts";
import { none } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";

const PAGE = 100;

const exported = command({
  summary: "what people agreed to share, for `surd build --from-gallery`",
  details: "A candidate per line: the sentence, what it was changed into, and the picture within. Nobody is named.",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where to, as JSON lines" },
    license: { type: "string", value: "ID", help: "the licence that they are shared under" },
  },
  async run({ json, output, license }, positionals, host) {
    none("feedback export", positionals);
    if (!output) throw usage("Say where to with -o FILE.");
    return withClient(host, {}, async (client) => {
      const file = createWriteStream(host.fromHere(output));
      let [kept, left] = [0, 0];
      for await (const given of meant(client)) {
        const line = await candidate(client, given, license);
        if (!line) {
          left++;
          continue;
        }
        kept++;
        if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, "drain");
      }
      file.end();
      await once(file, "close");
      const without = left > 0 ? `; ${left} left out, flagged or never changed` : "";
      if (json) printJson(host, { file: output, candidates: kept, left_out: left });
      else host.stdout.write(`${output}: ${kept} candidates${without}\n`);
      return 0;
    });
  },
});

export const feedback = group("feedback", "what people said of their pictures", { export: exported });

async function* meant(client: Client): AsyncGenerator<Feedback> {
  let cursor: string | undefined;
  do {
    const page = await client.feedback.list({ verdict: "meant", limit: PAGE, ...(cursor ? { cursor } : {}) });
    yield* page.data;
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
}

/** A line of `--from-gallery`; null for what would teach nothing, or what nobody should be taught. */
async function candidate(client: Client, given: Feedback, license: string | undefined) {
  const { generation: id, narrative, changed_into, image } = given;
  if (!changed_into || changed_into === narrative || !image || image.flagged) return null;
  const bytes = Buffer.from(await client.image(image));
  return {
    id,
    narrative,
    changed_into,
    image: `data:${image.content_type};base64,${bytes.toString("base64")}`,
    nsfw: false,
    origin: `vignette ${given.model} ${id}`,
    ...(license ? { license } : {}),
  };
}
