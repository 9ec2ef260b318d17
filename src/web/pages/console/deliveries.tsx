import { useEffect } from "preact/hooks";
import type { WebhookDelivery, WebhookDeliveryList } from "../../../contract/webhooks.ts";
import { ago } from "../../state/clock.ts";
import { useAct } from "../../ui/act.ts";
import { useLoad } from "../../ui/load.ts";
import { TroubleCard } from "../../ui/trouble.tsx";

const PAGE = 20;
/** How often the log is looked at while something in it is on its way. */
const LOOK_MS = 2_000;

/** What was sent to an endpoint, newest first. @param sent changes when something has been sent */
export function Deliveries({ endpoint, sent }: { endpoint: string; sent: number }) {
  const { data, trouble, reload, set } = useLoad<WebhookDeliveryList>(
    (client) => client.webhookEndpoints.deliveries(endpoint, { limit: PAGE }),
    [endpoint, sent],
  );
  const { act, busy, trouble: failed } = useAct();
  const soon = data?.data.some(({ status, attempts }) => status === "pending" && attempts === 0) ?? false;
  useEffect(() => {
    if (!soon) return;
    const timer = setInterval(reload, LOOK_MS);
    return () => clearInterval(timer);
  }, [soon, reload]);
  const again = (delivery: WebhookDelivery) =>
    act(async (client) => {
      const now = await client.webhookEndpoints.redeliver(endpoint, delivery.id);
      if (data) set({ ...data, data: data.data.map((each) => (each.id === now.id ? now : each)) });
    }, "Sent again");
  const more = () =>
    act(async (client) => {
      const next = await client.webhookEndpoints.deliveries(endpoint, { limit: PAGE, cursor: data?.next_cursor ?? "" });
      set({ ...next, data: [...(data?.data ?? []), ...next.data] });
    });
  return (
    <section class="log" aria-label="Delivery log">
      {(failed ?? trouble) && (
        <TroubleCard trouble={failed ?? (trouble as NonNullable<typeof trouble>)} retry={reload} />
      )}
      {data?.data.length === 0 && <p class="fine">Nothing has been sent yet.</p>}
      <ul>
        {data?.data.map((delivery) => (
          <li key={delivery.id} class={delivery.status}>
            <span>
              <strong>{delivery.status}</strong> {delivery.type}
              <span class="fine"> {ago(delivery.created_at)}</span>
            </span>
            <span class="fine">{outcome(delivery)}</span>
            {delivery.generation && (
              <a class="fine" href={`/gallery/${delivery.generation}`}>
                its picture
              </a>
            )}
            {delivery.status !== "pending" && (
              <button type="button" class="quiet" disabled={busy} onClick={() => void again(delivery)}>
                Send again
              </button>
            )}
          </li>
        ))}
      </ul>
      {data?.next_cursor && (
        <button type="button" class="quiet" disabled={busy} onClick={() => void more()}>
          More
        </button>
      )}
    </section>
  );
}

function outcome({ attempts, last_status, last_error, next_attempt_at, status }: WebhookDelivery): string {
  return [
    attempts === 1 ? "one attempt" : `${attempts} attempts`,
    last_status !== null ? `answered ${last_status}` : last_error,
    status === "pending" && attempts > 0 && next_attempt_at && `next ${ago(next_attempt_at)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
