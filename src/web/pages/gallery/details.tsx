import { useEffect, useState } from "preact/hooks";
import type { Generation } from "../../../contract/generation.ts";
import { say } from "../../state/announce.ts";
import { api } from "../../state/api.ts";
import { at } from "../../state/clock.ts";
import { neighbours, remove, replace, shelf } from "../../state/gallery.ts";
import { leave, navigate } from "../../state/router.ts";
import { explain, type Trouble } from "../../state/trouble.ts";
import { Confirm } from "../../ui/confirm.tsx";
import { Copy } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Icon } from "../../ui/icon.tsx";
import { ReadingList } from "../../ui/reading.tsx";
import { Share } from "../../ui/share.tsx";
import { TroubleCard } from "../../ui/trouble.tsx";
import { altOf, fileNameOf, sourceOf } from "../../words/picture.ts";
import { recipeOf } from "../../words/snippets.ts";

const close = () => leave("/gallery");

/** One generation with everything that is needed to draw it again. */
export function Details({ id }: { id: string }) {
  const [fetched, setFetched] = useState<Generation | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [chosen, choose] = useState(0);
  const client = api.value;
  const known = shelf.value.items.find((each) => each.id === id);
  const generation = known ?? (fetched?.id === id ? fetched : null);
  useEffect(() => {
    choose(0);
    setTrouble(null);
    if (known || !client) return;
    const left = new AbortController();
    client.generations.get(id, { signal: left.signal }).then(setFetched, (error) => {
      if (!left.signal.aborted) setTrouble(explain(error));
    });
    return () => left.abort();
  }, [id, client]);
  const { before, after } = neighbours(id);
  const go = (to: string | null) => to && navigate(`/gallery/${to}`, { replace: true });
  const changed = (next: Generation) => {
    setFetched(next);
    replace(next);
  };
  const drop = async () => {
    try {
      await remove(id);
      say("Deleted");
      close();
    } catch (error) {
      setTrouble(explain(error));
    }
  };
  const image = generation?.images[chosen] ?? generation?.images[0];
  return (
    <Dialog
      title="Details"
      close={close}
      onKey={(pressed) => {
        if (pressed === "ArrowLeft") go(before);
        if (pressed === "ArrowRight") go(after);
      }}
    >
      {trouble && (
        <div class="boxed">
          <TroubleCard trouble={trouble} />
        </div>
      )}
      {generation && !trouble && (
        <div class="details">
          <div class="seen">
            {image ? (
              <figure class="mat" style={{ "--shape": image.width / image.height }}>
                <div class="frame">
                  <img
                    class={image.flagged ? "fill veiled" : "fill"}
                    src={sourceOf(image)}
                    width={image.width}
                    height={image.height}
                    alt={altOf(generation, image.index)}
                  />
                </div>
              </figure>
            ) : (
              <p class="aside">{generation.error?.message ?? `This generation is ${generation.status}.`}</p>
            )}
            {generation.images.length > 1 && (
              <fieldset class="strip" aria-label="Its pictures">
                {generation.images.map((each) => (
                  <button
                    key={each.index}
                    type="button"
                    aria-pressed={each === image}
                    aria-label={`Picture ${each.index + 1}`}
                    onClick={() => choose(each.index)}
                  >
                    <img src={sourceOf(each)} width={each.width} height={each.height} alt="" />
                  </button>
                ))}
              </fieldset>
            )}
            <div class="row between">
              <button type="button" class="quiet" disabled={!before} onClick={() => go(before)}>
                Newer
              </button>
              <button type="button" class="quiet" disabled={!after} onClick={() => go(after)}>
                Older
              </button>
            </div>
          </div>
          <div class="told-of">
            <h2 class="told">{generation.prompt}</h2>
            <Recipe generation={generation} seed={image?.seed ?? generation.parameters.seed} />
            {generation.reading && <ReadingList reading={generation.reading} />}
            <div class="actions">
              <a class="button" href={`/g/${generation.id}`}>
                Open in Imagine
              </a>
            </div>
            <div class="actions small">
              {image && (
                <a class="quiet" href={sourceOf(image)} download={fileNameOf(generation, image)}>
                  <Icon name="down" /> Download
                </a>
              )}
              <Copy icon="code" name="Copy recipe" text={() => JSON.stringify(recipeOf(generation), null, 2)} />
              {image && !image.flagged && (
                <Share key={image.index} generation={generation} image={image} changed={changed} />
              )}
              <Confirm
                icon="trash"
                name="Delete"
                question="For good, with its pictures?"
                yes="Delete"
                act={() => void drop()}
              />
            </div>
          </div>
        </div>
      )}
    </Dialog>
  );
}

function Recipe({ generation, seed }: { generation: Generation; seed: number }) {
  const { model, adapter, negative_prompt, parameters, created_at, metrics, user, id } = generation;
  const rows: [string, string | number | null | false][] = [
    ["Model", model],
    ["Adapter", adapter ? `${adapter.id} × ${adapter.scale}` : "none"],
    ["Seed", seed],
    ["Size", `${parameters.width} × ${parameters.height}`],
    ["Steps", parameters.num_inference_steps],
    ["Guidance", parameters.guidance_scale],
    ["Scheduler", parameters.scheduler],
    ["Avoiding", negative_prompt],
    ["End user", user],
    ["Made", at(created_at)],
    ["Took", metrics.total_ms !== null && `${(metrics.total_ms / 1000).toFixed(1)} s`],
    ["Id", id],
  ];
  return (
    <dl class="recipe">
      {rows.map(
        ([name, value]) =>
          value !== null &&
          value !== false &&
          value !== "" && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
