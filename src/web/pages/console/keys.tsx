import { useState } from "preact/hooks";
import type { CreatedKey, Key, KeyList } from "../../../contract/keys.ts";
import { ago, at, edgeNow } from "../../state/clock.ts";
import { useAct } from "../../ui/act.ts";
import { Confirm } from "../../ui/confirm.tsx";
import { useLoad } from "../../ui/load.ts";
import { Secret } from "../../ui/secret.tsx";
import { TroubleCard } from "../../ui/trouble.tsx";
import { NewKey } from "./new-key.tsx";

const PAGE = 100;

/** The account's API keys. */
export function Keys() {
  const { data, trouble, reload, set } = useLoad<KeyList>((client) => client.keys.list({ limit: PAGE }));
  const [making, make] = useState(false);
  const [fresh, setFresh] = useState<CreatedKey | null>(null);
  const { act, busy, trouble: failed } = useAct();
  const more = () =>
    act(async (client) => {
      const next = await client.keys.list({ limit: PAGE, cursor: data?.next_cursor ?? "" });
      set({ ...next, data: [...(data?.data ?? []), ...next.data] });
    });
  return (
    <section class="part" aria-label="Keys">
      <p class="lead">
        A key is what a program sends with its requests. Give each its own, with no more scopes than it needs.
      </p>
      {fresh ? (
        <Secret name={`The key “${fresh.name}”`} secret={fresh.key} done={() => setFresh(null)} />
      ) : making ? (
        <NewKey
          made={(key) => {
            setFresh(key);
            make(false);
            reload();
          }}
          close={() => make(false)}
        />
      ) : (
        <div>
          <button type="button" class="button primary" onClick={() => make(true)}>
            New key
          </button>
        </div>
      )}
      {(failed ?? trouble) && (
        <TroubleCard trouble={failed ?? (trouble as NonNullable<typeof trouble>)} retry={reload} />
      )}
      <ul class="entries">
        {data?.data.map((key) => (
          <li key={key.id}>
            <div>
              <h2>{key.name}</h2>
              <p class="fine">
                <code>{key.prefix}…</code> · {key.scopes.join(", ")} · {limitsText(key)}
              </p>
              <p class="fine">{lifeText(key)}</p>
            </div>
            {isActive(key) && (
              <div class="row">
                <Confirm
                  name="Rotate"
                  question="The old secret works for an hour more."
                  yes="Rotate"
                  act={() =>
                    void act(async (client) => {
                      setFresh(await client.keys.rotate(key.id));
                      reload();
                    })
                  }
                />
                <Confirm
                  name="Revoke"
                  question="It stops working at once, for good."
                  yes="Revoke"
                  act={() =>
                    void act(async (client) => {
                      await client.keys.revoke(key.id);
                      reload();
                    }, "Revoked")
                  }
                />
              </div>
            )}
          </li>
        ))}
      </ul>
      {data?.next_cursor && (
        <p class="more">
          <button type="button" class="quiet" disabled={busy} onClick={() => void more()}>
            More
          </button>
        </p>
      )}
    </section>
  );
}

const isActive = ({ revoked_at, expires_at }: Key): boolean =>
  revoked_at === null && (expires_at === null || Date.parse(expires_at) > edgeNow());

function limitsText({ limits }: Key): string {
  const told = [
    limits.requests_per_minute && `${limits.requests_per_minute} a minute`,
    limits.concurrent && `${limits.concurrent} at once`,
    limits.images_per_day && `${limits.images_per_day} pictures a day`,
  ].filter(Boolean);
  return told.length > 0 ? told.join(", ") : "no limits of its own";
}

function lifeText(key: Key): string {
  if (key.revoked_at) return `Revoked ${ago(key.revoked_at)}`;
  if (key.expires_at && !isActive(key)) return `Expired ${ago(key.expires_at)}`;
  return [
    `Made ${ago(key.created_at)}`,
    key.last_used_at ? `used ${ago(key.last_used_at)}` : "never used",
    key.expires_at && `works until ${at(key.expires_at)}`,
    key.previous_secret_until &&
      Date.parse(key.previous_secret_until) > edgeNow() &&
      `its old secret works until ${at(key.previous_secret_until)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
