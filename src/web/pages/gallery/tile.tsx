import type { Generation } from "../../../contract/generation.ts";
import { ago } from "../../state/clock.ts";
import { sourceOf } from "../../words/picture.ts";

const STATES: Record<Generation["status"], string> = {
  queued: "Waiting for its turn",
  running: "Being drawn",
  succeeded: "",
  failed: "Could not be drawn",
  canceled: "Canceled",
};

/** One generation on the wall. The sentence names it, so its picture says nothing more to those who hear the page. */
export function Tile({ generation }: { generation: Generation }) {
  const { id, prompt, images, status, created_at } = generation;
  const [first] = images;
  return (
    <li class="tile">
      <a href={`/gallery/${id}`}>
        <span class="hanging">
          {first ? (
            <img
              class={first.flagged ? "veiled" : undefined}
              src={sourceOf(first)}
              width={first.width}
              height={first.height}
              alt=""
              loading="lazy"
              decoding="async"
            />
          ) : (
            <span class="state">{STATES[status]}</span>
          )}
          {images.length > 1 && <span class="count">{images.length}</span>}
          {images.some(({ share_url }) => share_url) && <span class="count shared">shared</span>}
        </span>
        <span class="title">{prompt}</span>
        <time class="fine" dateTime={created_at}>
          {ago(created_at)}
        </time>
      </a>
    </li>
  );
}
