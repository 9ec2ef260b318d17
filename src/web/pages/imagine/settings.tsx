import { useState } from "preact/hooks";
import { RATIOS } from "../../../bots/core/ratio.ts";
import { BOUNDS } from "../../../contract/terms.ts";
import { change, draft } from "../../state/draft.ts";
import { type Draft, modelOf, phraseStyles } from "../../state/form.ts";
import { job } from "../../state/job.ts";
import { models } from "../../state/models.ts";
import { Choice, Field, NumberField, Pick } from "../../ui/fields.tsx";

/** Everything beside the sentence; closed, it says in a line what is set. */
export function Settings() {
  const form = draft.value;
  const model = modelOf(form.model, models.value);
  const wrong = job.value?.trouble?.fields ?? {};
  const [wanted, setMore] = useState(false);
  const more = wanted || form.steps !== null || form.guidance !== null || form.scheduler !== null;
  const known = models.value ?? [];
  const adapters = model?.adapters ?? [];
  const defaults = model?.defaults;
  return (
    <details class="settings" open={Object.keys(wrong).some((name) => name !== "prompt") || undefined}>
      <summary>
        <span>Settings</span> <span class="fine">{summaryOf(form, model?.id)}</span>
      </summary>
      <div class="grid">
        {known.length > 1 && (
          <Pick
            label="Model"
            value={model?.id ?? ""}
            options={known.map(({ id, description }) => [id, id, description])}
            hint={model?.description}
            error={wrong.model}
            onChange={(id) => change({ model: known.find((each) => each.id === id)?.default ? null : id })}
          />
        )}
        <Pick
          label="Style"
          value={form.style ?? ""}
          options={[["", "As the model draws"], ...phraseStyles.map((name): [string, string] => [name, capital(name)])]}
          onChange={(name) => change({ style: name || null })}
        />
        <Field label="Adapter" hint={adapters.find((each) => each.default)?.description} error={wrong.adapter}>
          {(id) => (
            <div class="row">
              <input
                id={id}
                type="checkbox"
                class="switch"
                checked={form.adapter && (!model || adapters.length > 0)}
                disabled={adapters.length === 0}
                onChange={({ currentTarget }) => change({ adapter: currentTarget.checked })}
              />
              <input
                type="range"
                aria-label="Strength of the adapter"
                min={0}
                max={BOUNDS.adapterScale}
                step={0.05}
                value={form.scale ?? defaults?.adapter_scale ?? 1}
                disabled={!form.adapter || adapters.length === 0}
                onInput={({ currentTarget }) => change({ scale: Number(currentTarget.value) })}
              />
              <output class="number">
                {form.adapter ? (form.scale ?? defaults?.adapter_scale ?? 1).toFixed(2) : "off"}
              </output>
            </div>
          )}
        </Field>
        <Choice
          label="Shape"
          name="ratio"
          value={form.ratio ?? "1:1"}
          options={[...RATIOS].map((ratio) => [ratio, ratio])}
          error={wrong.width ?? wrong.height}
          onChange={(ratio) => change({ ratio: ratio === "1:1" ? null : ratio })}
        />
        <Choice
          label="Pictures"
          name="count"
          value={String(form.count)}
          options={Array.from({ length: model?.limits.max_images ?? BOUNDS.images }, (_, index) => [
            String(index + 1),
            String(index + 1),
          ])}
          error={wrong.num_images}
          onChange={(count) => change({ count: Number(count) })}
        />
        <NumberField
          label="Seed"
          value={form.seed}
          placeholder="by chance"
          min={0}
          max={BOUNDS.seed}
          error={wrong.seed}
          onChange={(seed) => change({ seed })}
        />
        <Field label="Avoid" error={wrong.negative_prompt}>
          {(id) => (
            <input
              id={id}
              type="text"
              value={form.avoid}
              placeholder="what it must not show"
              onInput={({ currentTarget }) => change({ avoid: currentTarget.value })}
            />
          )}
        </Field>
        {more ? (
          <>
            <NumberField
              label="Steps"
              value={form.steps}
              placeholder={String(defaults?.num_inference_steps ?? "")}
              min={1}
              max={model?.limits.max_steps ?? BOUNDS.steps}
              error={wrong.num_inference_steps}
              onChange={(steps) => change({ steps })}
            />
            <NumberField
              label="Guidance"
              value={form.guidance}
              placeholder={String(defaults?.guidance_scale ?? "")}
              min={0}
              max={BOUNDS.guidance}
              step={0.5}
              error={wrong.guidance_scale}
              onChange={(guidance) => change({ guidance })}
            />
            <Pick
              label="Scheduler"
              value={form.scheduler ?? ""}
              options={[
                ["", defaults?.scheduler ?? "The model’s"],
                ...(model?.schedulers ?? [])
                  .filter((name) => name !== defaults?.scheduler)
                  .map((name): [string, string] => [name, name]),
              ]}
              error={wrong.scheduler}
              onChange={(name) => change({ scheduler: name || null })}
            />
          </>
        ) : (
          <button type="button" class="quiet" onClick={() => setMore(true)}>
            More settings
          </button>
        )}
      </div>
    </details>
  );
}

function summaryOf({ style, adapter, scale, ratio, count, seed, avoid }: Draft, model: string | undefined): string {
  return [
    model,
    style && capital(style),
    adapter ? scale !== null && `adapter × ${scale}` : "no adapter",
    ratio,
    count > 1 && `${count} pictures`,
    seed !== null && `seed ${seed}`,
    avoid.trim() && "avoiding",
  ]
    .filter(Boolean)
    .join(" · ");
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
