import { useEffect, useRef } from "preact/hooks";
import { api } from "../../state/api.ts";
import { clearComparison, entries, showComparison } from "../../state/compare.ts";
import { CompareForm } from "./compare-form.tsx";
import { Sides } from "./sides.tsx";

/** One sentence and one seed, drawn in several ways. */
export function Compare({ ids }: { ids: string[] }) {
  const client = api.value;
  const wanted = ids.join();
  const before = useRef(wanted);
  useEffect(() => {
    if (wanted === "" && before.current !== "") clearComparison();
    before.current = wanted;
    if (wanted !== "" && client) void showComparison(wanted.split(","));
  }, [wanted, client]);
  return (
    <div class="compare">
      <section class="ask" aria-label="What to compare">
        <h1>See what the adapter does.</h1>
        <CompareForm />
      </section>
      <section class="stage" aria-label="The comparison">
        {entries.value.length === 0 ? (
          <div class="mat" style={{ "--shape": 1 }}>
            <div class="frame vacant halves">
              <p>Without</p>
              <p>With</p>
            </div>
          </div>
        ) : (
          <Sides entries={entries.value} />
        )}
      </section>
    </div>
  );
}
