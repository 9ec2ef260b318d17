import type { Client } from "../../client/index.ts";
import type { Model } from "../../contract/models.ts";
import { charactersOf } from "../../contract/terms.ts";
import { patience } from "./api.ts";
import type { Origin } from "./origin.ts";
import { readRatio } from "./ratio.ts";
import type { ImagineRequest } from "./request.ts";
import { type Sentence, sentence } from "./strings.ts";
import { findStyle, styleNames } from "./styles.ts";
import { drawable, oneLine } from "./text.ts";

/** What a person, or a channel, wants where a command says nothing. */
export interface Preferences {
  ratio?: string | undefined;
  style?: string | undefined;
  avoid?: string | undefined;
}

const FLAGS = { ratio: "--ar", style: "--style", avoid: "--no" } as const;
const NAMES = Object.keys(FLAGS) as (keyof Preferences)[];
/** Takes a preference away, or leaves it out once. */
const NONE = "none";
const MOST_CHARS = 500;

/** A channel as the API's profile; null in direct messages. */
export const channelOf = ({ chat, place, channel }: Pick<Origin, "chat" | "place" | "channel">): string | null =>
  place === undefined ? null : `${chat}:${place}:${channel}`;

/** The person's own before the channel's. */
export async function preferencesOf(api: Client, origin: Origin, user: string): Promise<Preferences> {
  const channel = channelOf(origin);
  const read = async (id: string) => (await api.profiles.get(id, { signal: patience() })).preferences;
  const [here, mine] = await Promise.all([channel === null ? {} : read(channel), read(user)]);
  return { ...here, ...mine };
}

/** A request with what is preferred where it says nothing. */
export function withPreferences(request: ImagineRequest, { ratio, style, avoid }: Preferences): ImagineRequest {
  const chosen = (said: string | null, preferred: string | undefined) =>
    said?.toLowerCase() === NONE ? null : (said ?? preferred ?? null);
  return {
    ...request,
    ratio: request.ratio ?? ratio ?? null,
    style: chosen(request.style, style),
    avoid: chosen(request.avoid, avoid),
  };
}

export interface RawPreferences extends Preferences {
  /** Takes all of them away. */
  reset?: boolean | undefined;
}

/** Sets what is named, and says what holds then. @param id of the person, or the channel */
export async function prefer(
  api: Client,
  models: readonly Model[],
  id: string,
  raw: RawPreferences,
  ofChannel: boolean,
): Promise<Sentence[]> {
  const given: Record<string, string | null> = {};
  if (raw.reset) for (const name of NAMES) given[name] = null;
  for (const name of NAMES) {
    const value = drawable(raw[name] ?? "");
    if (value !== "")
      given[name] = value.toLowerCase() === NONE ? null : name === "avoid" ? value : value.toLowerCase();
  }
  const complaints = faults(given, models);
  if (complaints.length > 0) return complaints;
  const some = Object.keys(given).length > 0;
  const { preferences } = some
    ? await api.profiles.update(id, { preferences: given }, { signal: patience() })
    : await api.profiles.get(id, { signal: patience() });
  return [said(preferences, ofChannel)];
}

function faults({ ratio, style, avoid }: Record<string, string | null>, models: readonly Model[]): Sentence[] {
  return [
    ...(ratio && readRatio(ratio) === null ? [sentence("ratio_bad", { value: oneLine(ratio, 40) })] : []),
    ...(style && !findStyle(style, models)
      ? [sentence("style_bad", { value: oneLine(style, 40), styles: styleNames(models).join(", ") })]
      : []),
    ...(avoid && charactersOf(avoid) > MOST_CHARS
      ? [sentence("prompt_long", { length: charactersOf(avoid), limit: MOST_CHARS })]
      : []),
  ];
}

/** As the flags that would say the same. */
function said(preferences: Preferences, ofChannel: boolean): Sentence {
  const values = NAMES.flatMap((name) => {
    const value = preferences[name];
    return value === undefined ? [] : [`${FLAGS[name]} ${oneLine(value, 100)}`];
  });
  if (values.length === 0) return sentence(ofChannel ? "prefer_here_none" : "prefer_mine_none");
  return sentence(ofChannel ? "prefer_here" : "prefer_mine", { values: values.join(" ") });
}
