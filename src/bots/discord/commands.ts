import { BOUNDS } from "../../contract/generation.ts";
import { LOCALES, type StringKey } from "../core/strings.ts";
import { MANAGE_GUILD } from "./limits.ts";

/** Discord's locales for each of ours (discord-api-docs: reference#locales); English is the default. */
const TAGS: Record<string, string[]> = {
  de: ["de"],
  es: ["es-ES", "es-419"],
  fr: ["fr"],
  ja: ["ja"],
  zh: ["zh-CN", "zh-TW"],
};

const TYPE = { string: 3, integer: 4, boolean: 5, user: 6 } as const;
const EVERYWHERE = { contexts: [0, 1, 2], integration_types: [0, 1] };
export const PROMPT_CHARS = 6000;
const WHOLE = { min_value: 0, max_value: 10_000 };

function localized(key: StringKey): Record<string, string> {
  return Object.fromEntries(
    Object.entries(TAGS).flatMap(([locale, tags]) => tags.map((tag) => [tag, LOCALES[locale]?.[key] ?? ""])),
  );
}
const described = (key: StringKey) => ({
  description: LOCALES.en?.[key] ?? "",
  description_localizations: localized(key),
});
const slash = (name: string, key: StringKey, options: object[] = []) => ({
  type: 1,
  name,
  ...described(key),
  options,
  ...EVERYWHERE,
});
const onMessage = (key: StringKey) => ({
  type: 3,
  name: LOCALES.en?.[key] ?? "",
  name_localizations: localized(key),
  ...EVERYWHERE,
});
const field = (name: string, type: number, key: StringKey, more: object = {}) => ({
  name,
  type,
  ...described(key),
  ...more,
});

/** Every command of the bot, as `PUT /applications/{id}/commands` takes them. */
export const COMMANDS = [
  slash("imagine", "command_imagine", [
    field("prompt", TYPE.string, "option_prompt", { required: true, max_length: PROMPT_CHARS, autocomplete: true }),
    field("ratio", TYPE.string, "option_ratio", { autocomplete: true }),
    field("style", TYPE.string, "option_style", { autocomplete: true }),
    field("seed", TYPE.integer, "option_seed", { min_value: 0, max_value: BOUNDS.seed }),
    field("count", TYPE.integer, "option_count", { min_value: 1, max_value: BOUNDS.images }),
    field("avoid", TYPE.string, "option_avoid", { max_length: 1000 }),
    field("private", TYPE.boolean, "option_private"),
  ]),
  slash("gallery", "command_gallery", [field("favorites", TYPE.boolean, "option_favorites")]),
  slash("show", "command_show", [field("id", TYPE.string, "option_id", { required: true, max_length: 40 })]),
  slash("prefer", "command_prefer", [
    field("ratio", TYPE.string, "option_ratio", { autocomplete: true }),
    field("style", TYPE.string, "option_style", { autocomplete: true }),
    field("avoid", TYPE.string, "option_avoid", { max_length: 500 }),
    field("channel", TYPE.boolean, "option_channel"),
    field("reset", TYPE.boolean, "option_reset"),
  ]),
  slash("quota", "command_quota"),
  slash("status", "command_status"),
  slash("privacy", "command_privacy"),
  {
    ...slash("settings", "command_settings", [
      field("day", TYPE.integer, "option_day", WHOLE),
      field("at_once", TYPE.integer, "option_at_once", WHOLE),
      field("all", TYPE.integer, "option_all", WHOLE),
      field("person", TYPE.user, "option_person"),
      field("block", TYPE.boolean, "option_block"),
    ]),
    // Whoever runs the server gives it to others on its page Integrations; only servers have it.
    default_member_permissions: String(MANAGE_GUILD),
    contexts: [0],
    integration_types: [0],
  },
  onMessage("command_imagine_this"),
  onMessage("command_details"),
];

export const MESSAGE_COMMANDS = {
  imagine: LOCALES.en?.command_imagine_this ?? "",
  details: LOCALES.en?.command_details ?? "",
};
