import { readOrigin } from "../core/origin.ts";
import { RATIOS } from "../core/ratio.ts";
import { styleNames, withoutPhrase } from "../core/styles.ts";
import type { DiscordDeps } from "./deps.ts";
import { DISCORD } from "./limits.ts";
import { apiUser, CALLBACK, type Callback, type Interaction } from "./payload.ts";

/** Suggestions are worth little when they come late. */
const PATIENCE_MS = 1_000;
const RECENT = 25;

/** Ratios, styles, and the prompts this person used last. */
export async function autocomplete(deps: DiscordDeps, interaction: Interaction): Promise<Callback> {
  const focused = interaction.data?.options?.find((given) => given.focused);
  const typed = String(focused?.value ?? "").toLowerCase();
  const found = await Promise.race([
    suggestions(deps, interaction, focused?.name ?? "").catch(() => []),
    deps.clock.sleep(PATIENCE_MS).then((): string[] => []),
  ]);
  // A sentence is remembered by any of its words, a ratio or a style by its beginning.
  const fits = (value: string) => (focused?.name === "prompt" ? value.includes(typed) : value.startsWith(typed));
  const choices = [...new Set(found)]
    .filter((value) => fits(value.toLowerCase()) && value.length <= DISCORD.choice)
    .slice(0, DISCORD.choices)
    .map((value) => ({ name: value, value }));
  return { type: CALLBACK.autocomplete, data: { choices } };
}

async function suggestions({ studio }: DiscordDeps, interaction: Interaction, name: string): Promise<string[]> {
  if (name === "ratio") return [...RATIOS];
  if (name === "style") return styleNames(await studio.models());
  if (name !== "prompt") return [];
  const { data } = await studio.api.generations.list({ user: apiUser(interaction), limit: RECENT });
  return data.map(({ prompt, metadata }) => withoutPhrase(prompt, readOrigin(metadata)?.style ?? null));
}
