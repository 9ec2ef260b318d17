import { useState } from "preact/hooks";
import type { CreatedKey, KeyLimits, Scope } from "../../../contract/keys.ts";
import { useAct } from "../../ui/act.ts";
import { Field, NumberField, Sending, Several } from "../../ui/fields.tsx";
import { useFocus } from "../../ui/focus.ts";
import { TroubleCard } from "../../ui/trouble.tsx";

const SCOPES: Record<Scope, string> = {
  generate: "draw, cancel, delete, share",
  read: "see generations, models, use",
  webhooks: "webhook endpoints",
  admin: "keys and limits",
};
const scopes = Object.keys(SCOPES) as Scope[];

/** Makes a key. */
export function NewKey({ made, close }: { made: (key: CreatedKey) => void; close: () => void }) {
  const [name, setName] = useState("");
  const [chosen, choose] = useState<Scope[]>(["generate", "read"]);
  const [expires, setExpires] = useState("");
  const [limits, setLimits] = useState<KeyLimits>({});
  const [complaint, complain] = useState<string | null>(null);
  const first = useFocus<HTMLInputElement>();
  const { act, busy, trouble } = useAct();
  const limit = (field: keyof KeyLimits) => ({
    value: limits[field] ?? null,
    placeholder: "no limit",
    min: 1,
    max: 10_000_000,
    error: trouble?.fields[`limits/${field}`],
    onChange: (value: number | null) => setLimits({ ...limits, [field]: value ?? undefined }),
  });
  return (
    <form
      class="panel"
      aria-label="New key"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const missing =
          name.trim() === ""
            ? "Give it a name, to tell it from others."
            : chosen.length === 0
              ? "Choose at least one scope."
              : null;
        complain(missing);
        if (missing) return;
        void act(async (client) => {
          made(
            await client.keys.create({
              name: name.trim(),
              scopes: chosen,
              ...(expires ? { expires_at: new Date(expires).toISOString() } : {}),
              ...(Object.values(limits).some((value) => value !== undefined) ? { limits } : {}),
            }),
          );
        });
      }}
    >
      <Field label="Name" error={trouble?.fields.name}>
        {(id) => (
          <input
            id={id}
            type="text"
            value={name}
            ref={first}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        )}
      </Field>
      <Several
        label="Scopes"
        options={scopes}
        chosen={chosen}
        choose={choose}
        saying={(scope) => (
          <>
            {scope} <span class="fine">{SCOPES[scope]}</span>
          </>
        )}
      />
      <div class="pair">
        <NumberField label="Requests a minute" {...limit("requests_per_minute")} />
        <NumberField label="At once" {...limit("concurrent")} />
        <NumberField label="Pictures a day" {...limit("images_per_day")} />
        <Field label="Works until" error={trouble?.fields.expires_at}>
          {(id) => (
            <input
              id={id}
              type="datetime-local"
              value={expires}
              onInput={({ currentTarget }) => setExpires(currentTarget.value)}
            />
          )}
        </Field>
      </div>
      {complaint && (
        <p class="field-error" role="alert">
          {complaint}
        </p>
      )}
      {trouble && <TroubleCard trouble={trouble} />}
      <Sending label="Make the key" disabled={busy} close={close} />
    </form>
  );
}
