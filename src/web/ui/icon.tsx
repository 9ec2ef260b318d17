/** Line drawings on a 20 by 20 grid. */
const PATHS = {
  again: "M16 10a6 6 0 1 1-1.8-4.3M16 3v3.6h-3.6",
  away: "M3.5 6.8A10 10 0 0 1 7 4.9M9.6 4.4c2.6-.1 5 .8 6.9 2.4M6 9.8c.6-.5 1.3-.9 2-1.1M12.8 9c.5.2.9.5 1.3.8M10 14.5h.01M3 3l14 14",
  check: "M4 10.5l4 4 8-9",
  close: "M5 5l10 10M15 5L5 15",
  code: "M7 6l-4 4 4 4M13 6l4 4-4 4",
  compare: "M10 3v14M3.5 5.5h4v9h-4zM12.5 5.5h4v9h-4z",
  dice: "M4 6.5a2.5 2.5 0 0 1 2.5-2.5h7a2.5 2.5 0 0 1 2.5 2.5v7a2.5 2.5 0 0 1-2.5 2.5h-7a2.5 2.5 0 0 1-2.5-2.5zM7.5 7.5h.01M12.5 12.5h.01M10 10h.01M12.5 7.5h.01M7.5 12.5h.01",
  down: "M10 3.5v9M6 9l4 4 4-4M4 16.5h12",
  key: "M12.5 11.5a4 4 0 1 0-3.8-2.7L3.5 14v2.5H6V15h1.5v-1.5H9l.9-2.2c.8.2 1.7.3 2.6.2zM13 7.2h.01",
  link: "M8.5 11.5a3 3 0 0 0 4.3 0l2.7-2.7a3 3 0 0 0-4.3-4.3L10 5.7M11.5 8.5a3 3 0 0 0-4.3 0l-2.7 2.7a3 3 0 0 0 4.3 4.3l1.2-1.2",
  pencil: "M4 16l.7-3.2L13 4.5a1.4 1.4 0 0 1 2 0l.5.5a1.4 1.4 0 0 1 0 2L7.2 15.3zM11.5 6l2.5 2.5",
  share: "M10 12.5V3.5M6.5 6.5L10 3l3.5 3.5M4.5 10v5.5a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1V10",
  spark: "M10 3c.5 4 2.5 6 6.5 7-4 1-6 3-6.5 7-.5-4-2.5-6-6.5-7 4-1 6-3 6.5-7z",
  terminal: "M4 5l4 4-4 4M10 14h6",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10M8.5 9v4.5M11.5 9v4.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width={18} height={18} aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
