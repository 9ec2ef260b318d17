import { effect, signal } from "@preact/signals";
import { type Draft, EMPTY } from "./form.ts";

const SLOT = "vignette.draft";

/** The form; it survives a reload of the tab. */
export const draft = signal<Draft>(restored());

export function change(part: Partial<Draft>): void {
  draft.value = { ...draft.value, ...part };
}

effect(() => sessionStorage.setItem(SLOT, JSON.stringify(draft.value)));

function restored(): Draft {
  try {
    return { ...EMPTY, ...JSON.parse(sessionStorage.getItem(SLOT) ?? "{}") };
  } catch {
    return EMPTY;
  }
}
