import { useEffect, useState } from "preact/hooks";
import { setKey } from "../state/session.ts";
import type { Trouble } from "../state/trouble.ts";

/** Says what happened and offers what to do. */
export function TroubleCard({ trouble, retry }: { trouble: Trouble; retry?: (() => void) | undefined }) {
  const { title, detail, remedy, seconds, requestId } = trouble;
  return (
    <section class="trouble" aria-label="What went wrong">
      <h2>{title}</h2>
      <p>{detail}</p>
      {requestId && remedy === "retry" && <p class="fine">Request {requestId}</p>}
      <div class="row">
        {remedy === "key" && (
          <button type="button" class="button" onClick={() => setKey(null)}>
            Use another key
          </button>
        )}
        {retry && remedy === "retry" && (
          <button type="button" class="button" onClick={retry}>
            Try again
          </button>
        )}
        {retry && remedy === "wait" && <Countdown key={title} seconds={seconds ?? 5} done={retry} />}
      </div>
    </section>
  );
}

/** Tries again by itself when the time has come; a press does it now. */
function Countdown({ seconds, done }: { seconds: number; done: () => void }) {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left <= 0) return done();
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left, done]);
  return (
    <button type="button" class="button" onClick={done}>
      Try again {left > 0 ? `(by itself in ${left} s)` : ""}
    </button>
  );
}
