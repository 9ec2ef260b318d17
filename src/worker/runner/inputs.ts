import type { PredictionInput } from "./backend.ts";
import type { DeclaredModel } from "./settings.ts";

/** Our inputs under a model's own names, without those that it does not have. */
export function inputsOf(input: PredictionInput, { inputs }: Pick<DeclaredModel, "inputs">): Record<string, unknown> {
  // Previews are our runner's.
  const { preview_every: _, ...rest } = input;
  return Object.fromEntries(
    Object.entries(rest).flatMap(([name, value]) => {
      const theirs = Object.hasOwn(inputs, name) ? inputs[name] : name;
      return theirs === null || theirs === undefined ? [] : [[theirs, value]];
    }),
  );
}
