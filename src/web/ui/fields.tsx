import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Labelled {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
}

/** A label, whatever is labelled, and what is wrong with it. */
export function Field({ label, hint, error, children }: Labelled & { children: (id: string) => ComponentChildren }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <p class="fine">{hint}</p>}
      {error && (
        <p class="field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

interface PickProps extends Labelled {
  value: string;
  options: [value: string, name: string, title?: string][];
  onChange: (value: string) => void;
}

/** One of many, in a list that opens. */
export function Pick({ value, options, onChange, ...labelled }: PickProps) {
  return (
    <Field {...labelled}>
      {(id) => (
        <select id={id} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
          {options.map(([each, name, title]) => (
            <option key={each} value={each} title={title}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** One of a few, all in view. */
export function Choice({ label, error, name, value, options, onChange }: PickProps & { name: string }) {
  return (
    <fieldset class="field">
      <legend>{label}</legend>
      <div class="choices">
        {options.map(([each, text]) => (
          <label key={each} class="choice">
            <input type="radio" name={name} value={each} checked={each === value} onChange={() => onChange(each)} />
            <span>{text}</span>
          </label>
        ))}
      </div>
      {error && (
        <p class="field-error" role="alert">
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** Any number of a few, all in view. @param saying what stands beside a box */
export function Several<Each extends string>({
  label,
  options,
  chosen,
  choose,
  saying,
}: {
  label: string;
  options: Each[];
  chosen: Each[];
  choose: (chosen: Each[]) => void;
  saying: (each: Each) => ComponentChildren;
}) {
  return (
    <fieldset class="field">
      <legend>{label}</legend>
      {options.map((option) => (
        <label key={option} class="check">
          <input
            type="checkbox"
            checked={chosen.includes(option)}
            onChange={({ currentTarget }) =>
              choose(currentTarget.checked ? [...chosen, option] : chosen.filter((each) => each !== option))
            }
          />
          <span>{saying(option)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** The end of a form that can be left: what sends it, and the way back. */
export function Sending({ label, disabled, close }: { label: string; disabled: boolean; close: () => void }) {
  return (
    <div class="row">
      <button type="submit" class="button primary" disabled={disabled}>
        {label}
      </button>
      <button type="button" class="quiet" onClick={close}>
        Never mind
      </button>
    </div>
  );
}

interface NumberProps extends Labelled {
  value: number | null;
  placeholder: string;
  min: number;
  max: number;
  step?: number;
  onChange: (value: number | null) => void;
}

/** A number, or nothing for what the model takes. */
export function NumberField({ value, placeholder, min, max, step = 1, onChange, ...labelled }: NumberProps) {
  return (
    <Field {...labelled}>
      {(id) => (
        <input
          id={id}
          type="number"
          inputmode="decimal"
          value={value ?? ""}
          placeholder={placeholder}
          min={min}
          max={max}
          step={step}
          onInput={({ currentTarget: { value: text, valueAsNumber: number } }) =>
            onChange(text === "" || Number.isNaN(number) ? null : number)
          }
        />
      )}
    </Field>
  );
}
