import { useEffect, useState } from "preact/hooks";
import { STATUSES } from "../../../contract/terms.ts";
import { type Filter, setFilter } from "../../state/gallery.ts";
import { Pick } from "../../ui/fields.tsx";

const NAMES: Record<(typeof STATUSES)[number], string> = {
  queued: "Waiting",
  running: "Being drawn",
  succeeded: "Drawn",
  failed: "Failed",
  canceled: "Canceled",
};
/** How long the typing rests before the list is asked for. */
const REST_MS = 300;

export function Filters({ filter }: { filter: Filter }) {
  const [user, setUser] = useState(filter.user);
  useEffect(() => {
    if (user === filter.user) return;
    const timer = setTimeout(() => setFilter({ user }), REST_MS);
    return () => clearTimeout(timer);
  }, [user]);
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <Pick
        label="Show"
        value={filter.status ?? ""}
        options={[["", "Everything"], ...STATUSES.map((status): [string, string] => [status, NAMES[status]])]}
        onChange={(status) => setFilter({ status: STATUSES.find((each) => each === status) ?? null })}
      />
      <div class="field">
        <label for="gallery-user">End user</label>
        <input
          id="gallery-user"
          type="search"
          value={user}
          placeholder="anybody"
          onInput={({ currentTarget }) => setUser(currentTarget.value)}
        />
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.shared}
          onChange={({ currentTarget }) => setFilter({ shared: currentTarget.checked })}
        />
        Shared only
      </label>
    </form>
  );
}
