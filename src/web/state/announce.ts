import { signal } from "@preact/signals";

/** What screen readers are told, politely; a sentence that comes twice is told twice. */
export const announced = signal<{ text: string; turn: number }>({ text: "", turn: 0 });

export function announce(text: string): void {
  announced.value = { text, turn: announced.value.turn + 1 };
}

/** A short word at the edge of the page, such as "Copied". */
export const toast = signal<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  clearTimeout(timer);
  toast.value = text;
  timer = setTimeout(() => {
    toast.value = null;
  }, 2_600);
}
