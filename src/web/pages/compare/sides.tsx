import { useEffect, useState } from "preact/hooks";
import { isTerminal } from "../../../contract/terms.ts";
import { cancelComparison, compare, type Entry } from "../../state/compare.ts";
import { draft } from "../../state/draft.ts";
import { requestOf } from "../../state/form.ts";
import { models } from "../../state/models.ts";
import { Pick } from "../../ui/fields.tsx";
import { ReadingList } from "../../ui/reading.tsx";
import { TroubleCard } from "../../ui/trouble.tsx";
import { Versus } from "../../ui/versus.tsx";
import { emphasised } from "../../words/emphasis.ts";
import { altOf, sourceOf } from "../../words/picture.ts";
import { nameOf } from "../../words/variants.ts";

const isDone = ({ generation }: Entry): boolean => generation?.status === "succeeded";

/** Two of the pictures in one frame, all of them below, and how each was understood. */
export function Sides({ entries }: { entries: Entry[] }) {
  const [chosen, choose] = useState<{ left: number; right: number | null }>({ left: 0, right: null });
  useEffect(() => choose({ left: 0, right: null }), [entries.length]);
  const left = entries[chosen.left] ?? entries[0];
  // Until somebody chooses: the adapter at its own strength, beside whatever stands first.
  const usual = entries.findIndex(({ variant }) => variant.kind === "adapted" && variant.scale === 1);
  const right = entries[chosen.right ?? (usual > 0 ? usual : 1)] ?? entries[1];
  if (!left) return null;
  const first = entries.find(({ generation }) => generation)?.generation;
  const shape = first ? first.parameters.width / first.parameters.height : 1;
  const open = entries.some(({ generation, trouble }) => !trouble && !(generation && isTerminal(generation.status)));
  const emphasise = (tag: string) => {
    const seed = first?.parameters.seed ?? 0;
    const prompt = emphasised(draft.value.prompt, tag);
    draft.value = { ...draft.value, prompt };
    const variants = entries.map(({ variant }) =>
      variant.kind === "keywords" ? { ...variant, prompt: emphasised(variant.prompt, tag) } : variant,
    );
    void compare(variants, {
      ...requestOf({ ...draft.value, adapter: true, scale: null, count: 1 }, models.value),
      seed,
    });
  };
  return (
    <>
      <figure class="mat" style={{ "--shape": shape }}>
        {right && isDone(left) && isDone(right) ? (
          <Slider left={left} right={right} shape={shape} />
        ) : (
          <Pending entries={entries} left={left} right={right} />
        )}
        <figcaption>
          <p class="told">{first?.prompt ?? draft.value.prompt}</p>
          {first && (
            <p class="fine">
              {first.model} · seed {first.parameters.seed} · {first.parameters.width} × {first.parameters.height}
            </p>
          )}
        </figcaption>
      </figure>
      <div class="row steady">
        <p class="fine">
          {open
            ? `${entries.filter(isDone).length} of ${entries.length} are there.`
            : "All that could be drawn is there."}
        </p>
        {open && (
          <button type="button" class="quiet" onClick={() => void cancelComparison()}>
            Cancel
          </button>
        )}
      </div>
      {entries.length > 2 && (
        <Pick
          label="On the left"
          value={String(entries.indexOf(left))}
          options={entries.map(({ variant }, index) => [String(index), nameOf(variant)])}
          onChange={(index) => choose({ ...chosen, left: Number(index) })}
        />
      )}
      {entries.length > 2 && (
        <fieldset class="field">
          <legend>On the right</legend>
          <div class="strip">
            {entries.map((entry, index) => (
              <button
                key={index}
                type="button"
                aria-pressed={entry === right}
                onClick={() => choose({ ...chosen, right: index })}
              >
                <span class="thumb" style={{ "--shape": shape }}>
                  {isDone(entry) && entry.generation?.images[0] ? (
                    <img class="fill" src={sourceOf(entry.generation.images[0])} alt="" />
                  ) : (
                    <Emerging entry={entry} />
                  )}
                </span>
                <span>{nameOf(entry.variant)}</span>
              </button>
            ))}
          </div>
        </fieldset>
      )}
      <div class="readings">
        {[left, right].map(
          (entry) =>
            entry?.generation?.reading && (
              <ReadingList
                key={nameOf(entry.variant)}
                title={`${nameOf(entry.variant)}: understood as`}
                reading={entry.generation.reading}
                press={emphasise}
              />
            ),
        )}
      </div>
    </>
  );
}

function Slider({ left, right, shape }: { left: Entry; right: Entry; shape: number }) {
  const side = ({ generation, variant }: Entry) => {
    const image = generation?.images[0];
    return {
      src: image ? sourceOf(image) : "",
      alt: generation ? `${nameOf(variant)}. ${altOf(generation)}` : "",
      name: nameOf(variant),
    };
  };
  return <Versus left={side(left)} right={side(right)} shape={shape} />;
}

function Pending({ entries, left, right }: { entries: Entry[]; left: Entry; right: Entry | undefined }) {
  const stuck = [left, right].find(
    (entry) => entry?.trouble || entry?.generation?.status === "failed" || entry?.generation?.status === "canceled",
  );
  if (stuck)
    return (
      <div class="frame">
        {stuck.trouble ? (
          <TroubleCard trouble={stuck.trouble} />
        ) : (
          <div class="trouble">
            <h2>{stuck.generation?.status === "canceled" ? "Canceled" : "It could not be drawn"}</h2>
            <p>{stuck.generation?.error?.message ?? "Compare again when you like."}</p>
          </div>
        )}
      </div>
    );
  const done =
    entries.reduce((sum, entry) => sum + (isDone(entry) ? 1 : (entry.progress?.fraction ?? 0)), 0) / entries.length;
  return (
    <div class="frame">
      <div class="two">
        {[left, right].map((entry) => entry && <Emerging key={nameOf(entry.variant)} entry={entry} />)}
      </div>
      <progress aria-label="How much of the comparison is drawn" max={1} value={done} />
    </div>
  );
}

/** One of the pictures as far as it is drawn. */
function Emerging({ entry: { preview, progress, generation } }: { entry: Entry }) {
  const done = generation?.status === "succeeded" ? 1 : (progress?.fraction ?? 0);
  const image = generation?.images[0];
  const src = image ? sourceOf(image) : preview;
  return (
    <span class="so-far" data-count="1" style={{ "--done": done }}>
      <span>{src ? <img src={src} alt="" /> : <span class="emerging" style={{ "--done": done }} />}</span>
    </span>
  );
}
