type Body = Record<string, unknown>;

interface FakeButton {
  action_id: string;
  label: string;
  value?: string;
}

export function buttonsOf(blocks: Body[]): FakeButton[] {
  return blocks.flatMap(({ type, elements }) =>
    type === "actions"
      ? (elements as Body[]).map(({ action_id, text, value }) => ({
          action_id: String(action_id),
          label: String((text as Body).text),
          ...(value === undefined ? {} : { value: String(value) }),
        }))
      : [],
  );
}

/** Everything that a message or view says, a line each. */
export function saidIn({ blocks }: { blocks: Body[] }): string {
  return blocks
    .flatMap(({ text, elements, fields, type }) => [
      ...(text ? [text] : []),
      ...(type === "context" ? (elements as unknown[]) : []),
      ...((fields as unknown[] | undefined) ?? []),
    ])
    .map((one) => String((one as Body).text))
    .join("\n");
}

/** The pictures in a message, by their alternative text. */
export function picturesOf({ blocks }: { blocks: Body[] }): { file: string | null; url: string | null; alt: string }[] {
  return blocks
    .filter(({ type }) => type === "image")
    .map(({ slack_file, image_url, alt_text }) => ({
      file: ((slack_file as Body | undefined)?.id as string | undefined) ?? null,
      url: (image_url as string | undefined) ?? null,
      alt: String(alt_text),
    }));
}
