import { useEffect, useRef, useState } from "preact/hooks";
import { compare, entries } from "../../state/compare.ts";
import { change, draft } from "../../state/draft.ts";
import { draftOf, requestOf } from "../../state/form.ts";
import { models } from "../../state/models.ts";
import { key } from "../../state/session.ts";
import { NumberField, Pick } from "../../ui/fields.tsx";
import { nameOf, SCALES, type Variant } from "../../words/variants.ts";

const SEEDS = 2 ** 31;
const newSeed = (): number => Math.floor(Math.random() * SEEDS);

/** The sentence, the seed that all share, and the ways to draw it. */
export function CompareForm() {
  const box = useRef<HTMLTextAreaElement>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(["plain", "1"]));
  const [keywords, setKeywords] = useState("");
  const [seed, setSeed] = useState<number | null>(newSeed);
  const [complaint, setComplaint] = useState<string | null>(null);
  const form = draft.value;
  const known = models.value ?? [];

  // An address that names a comparison fills the form with what it was.
  const first = entries.value.find(({ generation, variant }) => generation && variant.kind !== "keywords")?.generation;
  const shown = entries.value.map(({ generation }) => generation?.id).join();
  useEffect(() => {
    if (!first) return;
    setSeed(first.parameters.seed);
    const { prompt, style } = draftOf(first, models.value);
    change({ prompt, style });
    setChosen(new Set(entries.value.map(({ variant }) => idOf(variant))));
  }, [shown, first?.id]);
  const reading = entries.value.find(({ generation, variant }) => variant.kind === "adapted" && generation?.reading)
    ?.generation?.reading;
  const suggestion = reading?.map(({ tag }) => tag).join(", ") ?? "";

  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const go = () => {
    const words = keywords.trim() || suggestion;
    const variants: Variant[] = [
      ...(chosen.has("plain") ? [{ kind: "plain" } as const] : []),
      ...SCALES.filter((scale) => chosen.has(String(scale))).map((scale) => ({ kind: "adapted", scale }) as const),
      ...(chosen.has("keywords") ? [{ kind: "keywords", prompt: words } as const] : []),
    ];
    const trouble = complaintAbout(form.prompt, variants, words);
    setComplaint(trouble);
    if (trouble) return box.current?.focus();
    const fixed = seed ?? newSeed();
    setSeed(fixed);
    void compare(variants, {
      ...requestOf({ ...form, adapter: true, scale: null, count: 1 }, models.value),
      seed: fixed,
    });
  };

  return (
    <form
      class="prompt-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <div class={`sheet${complaint ? " wrong" : ""}`}>
        <label class="hidden" for="prompt">
          Describe the picture
        </label>
        <textarea
          id="prompt"
          ref={box}
          rows={2}
          value={form.prompt}
          placeholder="two purple cats fell asleep on the beach"
          aria-describedby={complaint ? "prompt-error" : undefined}
          aria-invalid={complaint ? true : undefined}
          onInput={({ currentTarget }) => {
            setComplaint(null);
            change({ prompt: currentTarget.value });
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            go();
          }}
        />
        <div class="sheet-foot">
          <p class="fine">One seed for all</p>
          <button type="submit" class="button primary">
            Compare
          </button>
        </div>
      </div>
      {complaint && (
        <p id="prompt-error" class="field-error" role="alert">
          {complaint}
        </p>
      )}
      <fieldset class="field">
        <legend>Draw it</legend>
        <div class="choices">
          <Toggle id="plain" name={nameOf({ kind: "plain" })} chosen={chosen} toggle={toggle} />
          {SCALES.map((scale) => (
            <Toggle
              key={scale}
              id={String(scale)}
              name={scale === 1 ? nameOf({ kind: "adapted", scale }) : `× ${scale}`}
              chosen={chosen}
              toggle={toggle}
            />
          ))}
          <Toggle id="keywords" name="Keyword prompt" chosen={chosen} toggle={toggle} />
        </div>
        <div class="row">
          <button type="button" class="quiet" onClick={() => setChosen(new Set(["plain", ...SCALES.map(String)]))}>
            Every strength
          </button>
        </div>
      </fieldset>
      {chosen.has("keywords") && (
        <div class="field">
          <label for="keywords">Keyword prompt, drawn without the adapter</label>
          <input
            id="keywords"
            type="text"
            value={keywords}
            placeholder={suggestion || "2cat, purple cat, sleeping, beach background"}
            onInput={({ currentTarget }) => setKeywords(currentTarget.value)}
          />
          <p class="fine">
            {suggestion
              ? "Left empty, it is what the sentence was understood as."
              : "The list that the model itself was trained on."}
          </p>
        </div>
      )}
      <div class="pair">
        <NumberField label="Seed" value={seed} placeholder="by chance" min={0} max={SEEDS} onChange={setSeed} />
        {known.length > 1 && (
          <Pick
            label="Model"
            value={form.model ?? known.find((model) => model.default)?.id ?? ""}
            options={known.map(({ id }) => [id, id])}
            onChange={(id) => change({ model: known.find((model) => model.id === id)?.default ? null : id })}
          />
        )}
      </div>
    </form>
  );
}

function Toggle({
  id,
  name,
  chosen,
  toggle,
}: {
  id: string;
  name: string;
  chosen: ReadonlySet<string>;
  toggle: (id: string) => void;
}) {
  return (
    <label class="choice">
      <input type="checkbox" checked={chosen.has(id)} onChange={() => toggle(id)} />
      <span>{name}</span>
    </label>
  );
}

const idOf = (variant: Variant): string => (variant.kind === "adapted" ? String(variant.scale) : variant.kind);

function complaintAbout(prompt: string, variants: Variant[], keywords: string): string | null {
  if (!key.value) return "Give the page an API key first, above.";
  if (prompt.trim() === "") return "Say what the picture shows: the box is empty.";
  if (variants.length < 2) return "Choose at least two ways to draw it.";
  if (variants.some(({ kind }) => kind === "keywords") && keywords === "")
    return "Write the keyword prompt, or compare without it first: its field then knows what was understood.";
  return null;
}
