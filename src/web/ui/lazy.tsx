import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A page that is fetched when somebody first goes there. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): (props: Props) => JSX.Element {
  let Known: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const [state, setState] = useState<"fetching" | "there" | "lost">("fetching");
    useEffect(() => {
      if (Known) return;
      load().then(
        (component) => {
          Known = component;
          setState("there");
        },
        () => setState("lost"),
      );
    }, []);
    if (Known) return <Known {...props} />;
    if (state === "fetching") return <p class="fine">Opening…</p>;
    return (
      <div class="empty">
        <h1>This part could not be fetched</h1>
        <p>The network is away, or a newer version has been put in its place. Load the page anew.</p>
        <div>
          <button type="button" class="button" onClick={() => location.reload()}>
            Load anew
          </button>
        </div>
      </div>
    );
  };
}
