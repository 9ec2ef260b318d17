type Body = Record<string, unknown>;

/** Block Kit's refusal. */
export class Malformed extends Error {}

export interface Checks {
  /** What kind of file an uploaded one is; null for one that cannot be shown. */
  file: (id: string) => string | null;
}

const SHOWABLE = ["image/png", "image/jpeg", "image/gif"];
const must = (condition: boolean, what: string) => {
  if (!condition) throw new Malformed(what);
};
const length = (text: unknown): number => (typeof text === "string" ? Array.from(text).length : -1);

/** Refuses what Slack refuses (docs.slack.dev/reference/block-kit/blocks). */
export function checkBlocks(blocks: Body[], checks: Checks, most = 50): void {
  must(Array.isArray(blocks) && blocks.length <= most, `at most ${most} blocks`);
  const names = blocks.map(({ block_id }) => block_id).filter((name) => name !== undefined);
  must(new Set(names).size === names.length, "block_id must be unique");
  for (const block of blocks) {
    if (block.block_id !== undefined) must(length(block.block_id) <= 255, "block_id is at most 255");
    checkBlock(block, checks);
  }
}

export function checkView(view: Body, types: string[], checks: Checks): Body {
  must(types.includes(String(view.type)), "view type");
  checkBlocks(view.blocks as Body[], checks, 100);
  if (view.type === "modal") {
    checkText(view.title as Body, 24, ["plain_text"]);
    for (const name of ["submit", "close"]) if (view[name]) checkText(view[name] as Body, 24, ["plain_text"]);
    const inputs = (view.blocks as Body[]).filter(({ type }) => type === "input");
    must(inputs.length === 0 || Boolean(view.submit), "a form needs submit");
  }
  must(length(view.private_metadata ?? "") <= 3000, "private_metadata is at most 3000");
  must(length(view.callback_id ?? "") <= 255, "callback_id is at most 255");
  return view;
}

function checkBlock(block: Body, checks: Checks): void {
  const check = KINDS[String(block.type)];
  must(check !== undefined, `unsupported block ${block.type}`);
  check?.(block, checks);
}

const KINDS: Record<string, (block: Body, checks: Checks) => void> = {
  divider: () => {},
  header: ({ text }) => checkText(text as Body, 150, ["plain_text"]),
  section({ text, fields = [] }) {
    const given = fields as Body[];
    must(Boolean(text) || given.length > 0, "a section has text or fields");
    if (text) checkText(text as Body, 3000);
    must(given.length <= 10, "at most 10 fields");
    for (const field of given) checkText(field, 2000);
  },
  context({ elements }) {
    const given = elements as Body[];
    must(given.length >= 1 && given.length <= 10, "1 to 10 elements");
    for (const element of given) checkText(element, 3000);
  },
  image: checkImage,
  actions: ({ elements }) => checkActions(elements as Body[]),
  input: checkInput,
};

function checkImage({ alt_text, image_url, slack_file }: Body, { file }: Checks): void {
  must(length(alt_text) >= 1 && length(alt_text) <= 2000, "alt_text of 1 to 2000");
  must((image_url === undefined) !== (slack_file === undefined), "either image_url or slack_file");
  if (image_url !== undefined) {
    must(
      length(image_url) <= 3000 && /^https:\/\/[\w-]+\.[\w.-]+\//.test(String(image_url)),
      "downloading image failed",
    );
    return;
  }
  const kind = file(String((slack_file as Body).id));
  must(kind !== null && SHOWABLE.includes(kind), "invalid slack file");
}

function checkActions(elements: Body[]): void {
  must(elements.length >= 1 && elements.length <= 25, "1 to 25 elements");
  const names = new Set<unknown>();
  for (const { type, text, action_id, style, value } of elements) {
    must(type === "button", "not a button");
    checkText(text as Body, 75, ["plain_text"]);
    must(length(action_id) >= 1 && length(action_id) <= 255 && !names.has(action_id), "action_id");
    must(style === undefined || style === "primary" || style === "danger", "style");
    must(value === undefined || length(value) <= 2000, "value is at most 2000");
    names.add(action_id);
  }
}

function checkInput({ label, element }: Body): void {
  checkText(label as Body, 2000, ["plain_text"]);
  const { type, action_id, max_length, initial_value } = element as Body;
  must(type === "plain_text_input" && length(action_id) >= 1, "element");
  must(Number(max_length) <= 3000, "max_length is at most 3000");
  must(length(initial_value ?? "") <= Number(max_length), "initial_value is longer than max_length");
}

function checkText(text: Body | undefined, most: number, types = ["plain_text", "mrkdwn"]): void {
  must(text !== undefined && types.includes(String(text.type)), "text type");
  must(length(text?.text) >= 1 && length(text?.text) <= most, `text of 1 to ${most}`);
  // What people wrote must not become markup.
  if (text?.type === "mrkdwn" && /<[@#!]/.test(String(text.text)))
    throw new Error(`a block that may ping: ${text.text}`);
}
