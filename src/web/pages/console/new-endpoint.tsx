import { useState } from "preact/hooks";
import type { CreatedWebhookEndpoint, WebhookEventType } from "../../../contract/webhooks.ts";
import { useAct } from "../../ui/act.ts";
import { Field, Sending, Several } from "../../ui/fields.tsx";
import { useFocus } from "../../ui/focus.ts";
import { TroubleCard } from "../../ui/trouble.tsx";

const EVENTS: Record<WebhookEventType, string> = {
  "generation.succeeded": "a picture is done",
  "generation.failed": "one could not be drawn",
  "generation.canceled": "one was canceled",
  "webhook_endpoint.disabled": "another endpoint went out of use",
};
const events = Object.keys(EVENTS) as WebhookEventType[];

/** Registers an endpoint. */
export function NewEndpoint({ made, close }: { made: (endpoint: CreatedWebhookEndpoint) => void; close: () => void }) {
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [chosen, choose] = useState<WebhookEventType[]>(events.slice(0, 3));
  const [complaint, complain] = useState<string | null>(null);
  const first = useFocus<HTMLInputElement>();
  const { act, busy, trouble } = useAct();
  return (
    <form
      class="panel"
      aria-label="New endpoint"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const missing = !URL.canParse(url.trim())
          ? "Write the whole address, such as https://example.com/vignette."
          : chosen.length === 0
            ? "Choose at least one event."
            : null;
        complain(missing);
        if (missing) return;
        void act(async (client) =>
          made(
            await client.webhookEndpoints.create({ url: url.trim(), events: chosen, description: description.trim() }),
          ),
        );
      }}
    >
      <Field label="Address" error={complaint ?? trouble?.fields.url}>
        {(id) => (
          <input
            id={id}
            type="url"
            value={url}
            placeholder="https://example.com/vignette"
            ref={first}
            onInput={({ currentTarget }) => setUrl(currentTarget.value)}
          />
        )}
      </Field>
      <Field label="Description" error={trouble?.fields.description}>
        {(id) => (
          <input
            id={id}
            type="text"
            value={description}
            onInput={({ currentTarget }) => setDescription(currentTarget.value)}
          />
        )}
      </Field>
      <Several
        label="Tell it when"
        options={events}
        chosen={chosen}
        choose={choose}
        saying={(event) => (
          <>
            {EVENTS[event]} <span class="fine">{event}</span>
          </>
        )}
      />
      {trouble && <TroubleCard trouble={trouble} />}
      <Sending label="Register it" disabled={busy} close={close} />
    </form>
  );
}
