import { useState } from "preact/hooks";
import type { CreatedWebhookEndpoint, WebhookEndpoint, WebhookEndpointList } from "../../../contract/webhooks.ts";
import { ago, at, edgeNow } from "../../state/clock.ts";
import { useAct } from "../../ui/act.ts";
import { Confirm } from "../../ui/confirm.tsx";
import { useLoad } from "../../ui/load.ts";
import { Secret } from "../../ui/secret.tsx";
import { TroubleCard } from "../../ui/trouble.tsx";
import { Deliveries } from "./deliveries.tsx";
import { NewEndpoint } from "./new-endpoint.tsx";

const REASONS: Record<NonNullable<WebhookEndpoint["disabled_reason"]>, string> = {
  by_you: "taken out of use here",
  gone: "it answered 410",
  failing: "it kept failing",
};
/** What the API calls the receivers that requests name themselves. */
const REQUESTS = "requests";

/** Who is told of the ends of generations, and what became of it. */
export function Webhooks() {
  const { data, trouble, reload } = useLoad<WebhookEndpointList>((client) =>
    client.webhookEndpoints.list({ limit: 100 }),
  );
  const [making, make] = useState(false);
  const [fresh, setFresh] = useState<CreatedWebhookEndpoint | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  // Grows with each message that is sent from here, so that the log shows it.
  const [sent, setSent] = useState(0);
  const { act, busy, trouble: failed } = useAct();
  const change = (work: Parameters<typeof act>[0], done?: string) =>
    act(async (client) => {
      await work(client);
      reload();
    }, done);
  const toggle = (id: string) => setOpen(open === id ? null : id);
  return (
    <section class="part" aria-label="Webhooks">
      <p class="lead">An endpoint of yours is told of the end of every picture, signed as Standard Webhooks says.</p>
      {fresh ? (
        <Secret name={`The secret of ${fresh.url}`} secret={fresh.secret} done={() => setFresh(null)} />
      ) : making ? (
        <NewEndpoint
          made={(endpoint) => {
            setFresh(endpoint);
            make(false);
            reload();
          }}
          close={() => make(false)}
        />
      ) : (
        <div>
          <button type="button" class="button primary" onClick={() => make(true)}>
            New endpoint
          </button>
        </div>
      )}
      {(failed ?? trouble) && (
        <TroubleCard trouble={failed ?? (trouble as NonNullable<typeof trouble>)} retry={reload} />
      )}
      <ul class="entries">
        {data?.data.map((endpoint) => (
          <li key={endpoint.id}>
            <div>
              <h2>{endpoint.url}</h2>
              <p class="fine">
                {endpoint.description && `${endpoint.description} · `}
                {endpoint.events.join(", ")}
              </p>
              <p class="fine">
                Made {ago(endpoint.created_at)}
                {endpoint.previous_secret_until &&
                  Date.parse(endpoint.previous_secret_until) > edgeNow() &&
                  ` · its old secret signs too until ${at(endpoint.previous_secret_until)}`}
              </p>
              {endpoint.disabled && (
                <p class="field-error">
                  Out of use{endpoint.disabled_reason ? `: ${REASONS[endpoint.disabled_reason]}` : ""}
                </p>
              )}
            </div>
            <div class="row">
              <button
                type="button"
                class="quiet"
                aria-expanded={open === endpoint.id}
                onClick={() => toggle(endpoint.id)}
              >
                Log
              </button>
              <button
                type="button"
                class="quiet"
                disabled={busy}
                onClick={() =>
                  void act(async (client) => {
                    await client.webhookEndpoints.test(endpoint.id);
                    setOpen(endpoint.id);
                    setSent(sent + 1);
                  }, "A test is on its way")
                }
              >
                Test
              </button>
              <button
                type="button"
                class="quiet"
                disabled={busy}
                onClick={() =>
                  void change(
                    (client) => client.webhookEndpoints.update(endpoint.id, { disabled: !endpoint.disabled }),
                    endpoint.disabled ? "In use again" : "Out of use",
                  )
                }
              >
                {endpoint.disabled ? "Use again" : "Take out of use"}
              </button>
              <Confirm
                name="Rotate secret"
                question="Both secrets sign for a day."
                yes="Rotate"
                act={() =>
                  void change(async (client) => setFresh(await client.webhookEndpoints.rotateSecret(endpoint.id)))
                }
              />
              <Confirm
                name="Delete"
                question="For good, with its log?"
                yes="Delete"
                act={() => void change((client) => client.webhookEndpoints.delete(endpoint.id), "Deleted")}
              />
            </div>
            {open === endpoint.id && <Deliveries endpoint={endpoint.id} sent={sent} />}
          </li>
        ))}
        <li>
          <div>
            <h2>Addresses that requests name</h2>
            <p class="fine">
              What went to the <code>webhook_url</code> of single requests.
            </p>
          </div>
          <div class="row">
            <button type="button" class="quiet" aria-expanded={open === REQUESTS} onClick={() => toggle(REQUESTS)}>
              Log
            </button>
          </div>
          {open === REQUESTS && <Deliveries endpoint={REQUESTS} sent={sent} />}
        </li>
      </ul>
    </section>
  );
}
