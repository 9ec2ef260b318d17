import { useEffect, useState } from "preact/hooks";
import type { Generation } from "../../../contract/generation.ts";
import { api } from "../../state/api.ts";
import { drawAgain, drawSentence, drawVariation } from "../../state/job.ts";
import { Icon } from "../../ui/icon.tsx";
import { ReadingList } from "../../ui/reading.tsx";
import { Versus } from "../../ui/versus.tsx";
import { emphasised } from "../../words/emphasis.ts";
import { altOf, factsOf, sourceOf } from "../../words/picture.ts";
import { Keep } from "./keep.tsx";
import { WhatIf } from "./what-if.tsx";

const LATER: Record<string, string> = { vary: "varied", "what-if": "what if", emphasis: "emphasised" };

/** A picture that is done: seen, understood, kept, taken further. */
export function Result({ generation }: { generation: Generation }) {
  const { id, images, parameters, reading, notice, metadata, prompt } = generation;
  const [chosen, setChosen] = useState(0);
  const [asking, setAsking] = useState(false);
  const [beside, setBeside] = useState(false);
  const before = useBefore(generation);
  useEffect(() => {
    setChosen(0);
    setAsking(false);
    setBeside(false);
  }, [id]);
  const image = images[chosen] ?? images[0];
  if (!image) return null;
  const earlier = before?.images[0];
  return (
    <>
      <figure class="mat" style={{ "--shape": parameters.width / parameters.height }}>
        {beside && earlier && before ? (
          <Versus
            shape={parameters.width / parameters.height}
            left={{ src: sourceOf(earlier), alt: altOf(before), name: "before" }}
            right={{ src: sourceOf(image), alt: altOf(generation, chosen), name: LATER[metadata.how ?? ""] ?? "after" }}
          />
        ) : images.length === 1 ? (
          <div class="frame">
            <Shown generation={generation} index={0} />
          </div>
        ) : (
          <fieldset class="frame several" data-count={images.length} aria-label={`${images.length} pictures`}>
            {images.map(({ index }) => (
              <button
                key={index}
                type="button"
                aria-pressed={index === chosen}
                aria-label={`Choose picture ${index + 1}`}
                onClick={() => setChosen(index)}
              >
                <Shown generation={generation} index={index} />
              </button>
            ))}
          </fieldset>
        )}
        <figcaption>
          <p class="told">{prompt}</p>
          <p class="fine">{factsOf(generation, image).join(" · ")}</p>
        </figcaption>
      </figure>
      <fieldset class="actions" aria-label="Take it further">
        <button type="button" class="button" onClick={() => void drawAgain(generation)}>
          <Icon name="again" /> Again
        </button>
        <button type="button" class="button" onClick={() => void drawVariation(generation, image.index)}>
          <Icon name="spark" /> Vary
        </button>
        <button type="button" class="button" aria-expanded={asking} onClick={() => setAsking(!asking)}>
          <Icon name="pencil" /> What if…
        </button>
        {earlier && (
          <button type="button" class="button" aria-pressed={beside} onClick={() => setBeside(!beside)}>
            <Icon name="compare" /> Before and after
          </button>
        )}
      </fieldset>
      {asking && (
        <WhatIf
          prompt={prompt}
          close={() => setAsking(false)}
          draw={(text) => void drawSentence(generation, text, "what-if", image.index)}
        />
      )}
      {notice && <p class="aside">{notice}</p>}
      {reading && (
        <ReadingList
          reading={reading}
          press={(tag) => void drawSentence(generation, emphasised(prompt, tag), "emphasis", image.index)}
        />
      )}
      <Keep generation={generation} image={image} />
    </>
  );
}

function Shown({ generation, index }: { generation: Generation; index: number }) {
  const image = generation.images[index];
  if (!image) return null;
  return (
    <img
      class={image.flagged ? "fill veiled" : "fill"}
      src={sourceOf(image)}
      width={image.width}
      height={image.height}
      alt={altOf(generation, index)}
    />
  );
}

/** The picture that this one came from, if it is still there and of the same shape. */
function useBefore({ id, metadata, parameters }: Generation): Generation | null {
  const [before, setBefore] = useState<Generation | null>(null);
  const { parent, how } = metadata;
  const client = api.value;
  useEffect(() => {
    setBefore(null);
    if (!client || !parent || !how || !(how in LATER)) return;
    const left = new AbortController();
    client.generations.get(parent, { signal: left.signal }).then(
      (found) =>
        found.parameters.width === parameters.width &&
        found.parameters.height === parameters.height &&
        setBefore(found),
      () => {}, // deleted since
    );
    return () => left.abort();
  }, [id, client]);
  return before;
}
