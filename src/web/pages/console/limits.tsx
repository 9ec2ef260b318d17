import { useEffect, useState } from "preact/hooks";
import type { Account, AccountLimits, Retention } from "../../../contract/accounts.ts";
import type { Usage } from "../../../contract/usage.ts";
import { useAct } from "../../ui/act.ts";
import { NumberField } from "../../ui/fields.tsx";
import { useLoad } from "../../ui/load.ts";
import { TroubleCard } from "../../ui/trouble.tsx";
import { Quotas } from "./usage.tsx";

const LIMITS: Record<keyof AccountLimits, { name: string; own: boolean }> = {
  concurrent: { name: "At once, in all", own: false },
  images_per_day: { name: "Pictures a day, in all", own: false },
  concurrent_per_user: { name: "At once, for each end user", own: true },
  images_per_day_per_user: { name: "Pictures a day, for each end user", own: true },
};
const DAYS: Record<keyof Retention, string> = {
  images_days: "Keep pictures for days",
  generations_days: "Keep generations for days",
};

/** What the account may use, and how long it keeps what it drew. */
export function Limits() {
  const { data, trouble, reload, set } = useLoad<Account>((client) => client.account.get());
  const usage = useLoad<Usage>((client) => client.usage({ days: 1 }));
  return (
    <section class="part" aria-label="Limits">
      {trouble && <TroubleCard trouble={trouble} retry={reload} />}
      {data && (
        <Form
          account={data}
          saved={(account) => {
            set(account);
            usage.reload();
          }}
        />
      )}
      <h2>What is left for the key in use</h2>
      {usage.data && <Quotas usage={usage.data} />}
    </section>
  );
}

function Form({ account, saved }: { account: Account; saved: (account: Account) => void }) {
  const [limits, setLimits] = useState(account.limits);
  const [retention, setRetention] = useState(account.retention);
  const { act, busy, trouble } = useAct();
  useEffect(() => {
    setLimits(account.limits);
    setRetention(account.retention);
  }, [account]);
  return (
    <form
      class="panel"
      aria-label="Limits of the account"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
        void act(async (client) => saved(await client.account.update({ limits: given, retention })), "Saved");
      }}
    >
      <p>
        Account <strong>{account.id}</strong>
        {account.operator
          ? ", an operator’s: it may change every limit."
          : ". What cannot be changed here is its operator’s to set."}
      </p>
      <div class="pair">
        {(Object.keys(LIMITS) as (keyof AccountLimits)[]).map((field) =>
          LIMITS[field].own || account.operator ? (
            <NumberField
              key={field}
              label={LIMITS[field].name}
              value={limits[field] ?? null}
              placeholder="no limit"
              min={1}
              max={100_000_000}
              error={trouble?.fields[`limits/${field}`]}
              onChange={(value) => setLimits({ ...limits, [field]: value ?? undefined })}
            />
          ) : (
            <div key={field} class="field">
              <span>{LIMITS[field].name}</span>
              <strong>{limits[field] ?? "no limit"}</strong>
            </div>
          ),
        )}
        {(Object.keys(DAYS) as (keyof Retention)[]).map((field) => (
          <NumberField
            key={field}
            label={DAYS[field]}
            value={retention[field]}
            placeholder="as the operator says"
            min={1}
            max={3650}
            error={trouble?.fields[`retention/${field}`]}
            onChange={(value) => setRetention({ ...retention, [field]: value })}
          />
        ))}
      </div>
      {trouble && <TroubleCard trouble={trouble} />}
      <div class="row">
        <button type="submit" class="button primary" disabled={busy}>
          Save
        </button>
      </div>
    </form>
  );
}
