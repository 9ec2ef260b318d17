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
