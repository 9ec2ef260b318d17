import { useEffect, useState } from "preact/hooks";
import { type Readiness, readiness } from "../../state/api.ts";
import { cancel, draw, drawAgain, type Job, job, show } from "../../state/job.ts";
import { TroubleCard } from "../../ui/trouble.tsx";
import { Result } from "./result.tsx";

/** How long a generation waits before the page asks why. */
const PATIENCE_MS = 3_000;

/** The frame, and whatever is in it now. */
export function Stage() {
  const now = job.value;
  if (!now)
    return (
      <div class="mat" style={{ "--shape": 1 }}>
        <div class="frame vacant">
          <p>Your picture will hang here.</p>
        </div>
      </div>
    );
  if (now.phase === "ended" && now.generation?.status === "succeeded") return <Result generation={now.generation} />;
  return (
    <div class="mat" style={{ "--shape": now.shape }}>
      <div class="frame">
        <Inside now={now} />
      </div>
      <Below now={now} />
    </div>
  );
}

function Inside({ now }: { now: Job }) {
  const { generation, trouble, order, phase } = now;
  if (phase === "stuck" && trouble) {
    const id = location.pathname.split("/")[2];
    const retry = order ? () => void draw(order) : id ? () => void show(id) : undefined;
    return <TroubleCard trouble={trouble} retry={retry} />;
  }
  if (phase === "ended" && generation)
    return (
      <div class="trouble">
        <h2>{generation.status === "failed" ? "It could not be drawn" : "Canceled"}</h2>
        <p>
          {generation.status === "failed" ? generation.error?.message : "Nothing of it counts against your limits."}
        </p>
        <button type="button" class="button" onClick={() => void drawAgain(generation)}>
          Try again
        </button>
      </div>
    );
  return <Emerging now={now} />;
}

/** The picture appears from the middle outwards, as far as it is drawn. */
function Emerging({ now: { progress, previews, generation } }: { now: Job }) {
  const done = progress?.fraction ?? 0;
  const count = generation?.parameters.num_images ?? 1;
  if (!previews.some(Boolean)) return <div class="emerging" style={{ "--done": done }} />;
  return (
    <div class="so-far" data-count={count} style={{ "--done": done }}>
      {Array.from({ length: count }, (_, index) => (
        <span key={index}>
          {previews[index] && <img src={previews[index]} alt={`So far, step ${progress?.step ?? 0}`} />}
        </span>
      ))}
    </div>
  );
}

function Below({ now }: { now: Job }) {
  if (now.phase === "ended" || now.phase === "stuck") return null;
  const { progress, phase, trouble } = now;
  return (
    <div class="progress">
      <div class="row">
        <p>
          {trouble ? (
            `${trouble.title}. This goes on by itself.`
          ) : phase === "running" && progress?.step ? (
            stepText(progress)
          ) : (
            <Waiting now={now} />
          )}
        </p>
        {phase !== "opening" && (
          <button type="button" class="quiet" onClick={() => void cancel()}>
            Cancel
          </button>
        )}
      </div>
      <progress
        aria-label="How much of it is drawn"
        max={1}
        value={phase === "running" ? (progress?.fraction ?? 0) : undefined}
      />
      {now.channel === "polling" && (
        <p class="fine">The live connection is broken; asking every few seconds instead.</p>
      )}
    </div>
  );
}

function stepText({ step, steps, eta_seconds }: { step: number; steps: number; eta_seconds: number | null }): string {
  const left =
    eta_seconds === null ? "" : eta_seconds < 1 ? " · nearly there" : ` · about ${Math.ceil(eta_seconds)} s left`;
  return `Step ${step} of ${steps}${left}`;
}

/** What a picture waits for; after a while the edge is asked whether anybody can draw at all. */
function Waiting({ now: { phase, progress } }: { now: Job }) {
  const [state, setState] = useState<Readiness | null>(null);
  useEffect(() => {
    setState(null);
    if (phase !== "queued") return;
    const timer = setInterval(() => void readiness().then(setState), PATIENCE_MS);
    return () => clearInterval(timer);
  }, [phase]);
  if (phase === "opening") return <>Looking it up…</>;
  if (phase === "sending") return <>Sending…</>;
  const ahead = progress?.queue_position ?? 0;
  if (state && !state.runner) return <>No runner answers. It waits in line, and is drawn as soon as one is back.</>;
  if (ahead > 0) return <>{ahead === 1 ? "One picture is" : `${ahead} pictures are`} ahead of it.</>;
  return <>Waiting for its turn…</>;
}
