import type { Generation } from "../../contract/generation.ts";
import { detailsOf } from "../core/details.ts";
import { readOrigin } from "../core/origin.ts";
import { quotasOf } from "../core/quotas.ts";
import { groupOf } from "../core/settings.ts";
import { say, stringsFor } from "../core/strings.ts";
import { withoutPhrase } from "../core/styles.ts";
import { oneLine } from "../core/text.ts";
import { altText, type Button } from "../core/view.ts";
import { SLACK } from "./limits.ts";
import { apiUser } from "./payload.ts";
import { type Scene, said } from "./place.ts";
import { actions, context, plainText, renderDetails, section } from "./render.ts";
import { isBadBlock } from "./wire.ts";

const SHOWN = 10;
const PROMPT_CHARS = 300;

/** The app's Home: what this person may draw, and what they drew last. */
export async function publishHome(scene: Scene): Promise<void> {
  const { deps, ask, wire, person } = scene;
  const publish = (blocks: object[]) =>
    wire.call("views.publish", {
      user_id: ask.user,
      view: { type: "home", blocks: blocks.slice(0, 2 * SLACK.blocks) },
    });
  const strings = stringsFor(person.locale);
  const title = { type: "header", text: plainText(strings.gallery, 150) };
  try {
    const user = apiUser(ask);
    const [quotas, { data }] = await Promise.all([
      quotasOf(deps.studio.api, user, groupOf({ chat: "slack", place: ask.team })),
      deps.studio.api.generations.list({ user, status: "succeeded", limit: SHOWN }),
    ]);
    const left = context(quotas.map(({ key, params }) => say(strings, key, params)).join(" "));
    const none = data.length === 0 ? [section(strings.gallery_empty)] : [];
    const page = (pictures: boolean) => [
      title,
      left,
      ...none,
      ...data.flatMap((generation) => entry(scene, generation, pictures)),
    ];
    // A picture that Slack cannot fetch makes it refuse the whole page.
    await publish(page(true)).catch((error: unknown) => {
      if (!isBadBlock(error)) throw error;
      return publish(page(false));
    });
  } catch (error) {
    const { key, params } = said(error, person);
    await publish([title, section(say(strings, key, params))]);
  }
}

function entry({ deps, person }: Scene, generation: Generation, pictures: boolean): object[] {
  const { id, prompt, parameters, created_at, metadata, images } = generation;
  const strings = stringsFor(person.locale);
  const style = readOrigin(metadata)?.style;
  const written = oneLine(withoutPhrase(prompt, style ?? null), PROMPT_CHARS);
  const [first] = images;
  const url = pictures && first && !first.flagged ? deps.reachable(first.url) : null;
  const day = new Date(created_at).toLocaleDateString(person.locale.replace("_", "-"), { timeZone: "UTC" });
  const button = (action: Button["action"], tone: Button["tone"] = "secondary"): Button => ({
    action,
    id,
    index: null,
    tone,
    label: say(strings, action as "remix"),
  });
  return [
    { type: "divider" },
    section(written),
    ...(url
      ? [{ type: "image", image_url: url, alt_text: altText(generation, { locale: person.locale, style }) }]
      : []),
    context([day, `seed ${parameters.seed}`, `${parameters.width} × ${parameters.height}`].join(" · ")),
    ...actions([[button("remix"), button("details"), button("delete", "danger")]]),
  ];
}

/** Details where there is no channel to say them in: a dialogue, opened before anything is asked. */
export async function openDetails(scene: Scene, id: string): Promise<void> {
  const { deps, ask, wire, person } = scene;
  const strings = stringsFor(person.locale);
  const view = (blocks: unknown[]) => ({
    type: "modal",
    title: plainText(strings.details, SLACK.modalTitle),
    close: plainText("OK", SLACK.modalButton),
    blocks,
  });
  const opened = await wire.call<{ view: { id: string } }>("views.open", {
    trigger_id: ask.trigger,
    view: view([section("…")]),
  });
  const blocks = await deps.studio.get(id).then(
    (generation) => renderDetails(detailsOf(generation, person.locale)).blocks,
    (error: unknown) => {
      const { key, params } = said(error, person);
      return [section(say(strings, key, params))];
    },
  );
  await wire.call("views.update", { view_id: opened.view.id, view: view(blocks) });
}
