import { useEffect, useRef } from "preact/hooks";
import { api } from "../../state/api.ts";
import { more, refresh, shelf } from "../../state/gallery.ts";
import { TroubleCard } from "../../ui/trouble.tsx";
import { Details } from "./details.tsx";
import { Filters } from "./filters.tsx";
import { Tile } from "./tile.tsx";

/** How far before its end the next page is fetched. */
const AHEAD = "1200px";

/** Everything that this account has drawn, newest first. */
export function Gallery({ id }: { id: string | null }) {
  const client = api.value;
  useEffect(() => {
    if (!client) return;
    void refresh();
    // Another tab or another program may have drawn meanwhile.
    const look = () => void (document.visibilityState === "visible" && refresh());
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [client]);
  const { items, cursor, loading, trouble, filter } = shelf.value;
  return (
    <div class="gallery">
      <div class="heading">
        <h1>Gallery</h1>
        <Filters filter={filter} />
      </div>
      {items.length > 0 && (
        <ul class="tiles" aria-busy={loading}>
          {items.map((generation) => (
            <Tile key={generation.id} generation={generation} />
          ))}
        </ul>
      )}
      {items.length === 0 && !loading && !trouble && cursor === null && (
        <div class="empty">
          <h2>Nothing hangs here yet</h2>
          <p>
            {filter.status === "succeeded" && !filter.shared && filter.user === ""
              ? ""
              : "Nothing that the filters let through. "}
            <a href="/">Imagine a picture</a>, and it is kept here.
          </p>
        </div>
      )}
      {trouble && (
        <div class="boxed">
          <TroubleCard trouble={trouble} retry={() => void refresh()} />
        </div>
      )}
      {items.length > 0 && cursor !== null && !trouble && <More />}
      {id !== null && <Details id={id} />}
    </div>
  );
}

/** Fetches the next page when it comes near; a press does it for those who do not scroll. */
function More() {
  const button = useRef<HTMLButtonElement>(null);
  const { loading } = shelf.value;
  useEffect(() => {
    if (!button.current || loading) return;
    const watcher = new IntersectionObserver(([entry]) => void (entry?.isIntersecting && more()), {
      rootMargin: AHEAD,
    });
    watcher.observe(button.current);
    return () => watcher.disconnect();
  }, [loading]);
  return (
    <p class="more">
      <button type="button" ref={button} class="quiet" onClick={() => void more()}>
        {loading ? "Fetching…" : "More"}
      </button>
    </p>
  );
}
