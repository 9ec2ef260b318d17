import { useState } from "preact/hooks";
import type { Generation, Image } from "../../contract/generation.ts";
import { say } from "../state/announce.ts";
import { api } from "../state/api.ts";
import { explain } from "../state/trouble.ts";
import { Copy } from "./copy.tsx";
import { Icon } from "./icon.tsx";

/**
 * Gives a picture a public page, or takes it back.
 *
 * @param changed told how the generation is afterwards
 */
export function Share({
  generation,
  image,
  changed,
}: {
  generation: Generation;
  image: Image;
  changed: (generation: Generation) => void;
}) {
  const [open, setOpen] = useState(false);
  const [sentence, setSentence] = useState(true);
  const [busy, setBusy] = useState(false);
  const { share_url: url } = image;

  const act = async (work: () => Promise<string | null>, done: string) => {
    setBusy(true);
    try {
      const share_url = await work();
      const images = generation.images.map((each) => (each.index === image.index ? { ...each, share_url } : each));
      changed({ ...generation, images });
      setOpen(share_url !== null);
      say(done);
    } catch (error) {
      say(explain(error).detail);
    } finally {
      setBusy(false);
    }
  };
  const share = () =>
    act(
      async () =>
        (await api.value?.generations.share(generation.id, image.index, { showPrompt: sentence }))?.url ?? null,
      "Shared",
    );
  const unshare = () =>
    act(async () => {
      await api.value?.generations.unshare(generation.id, image.index);
      return null;
    }, "No longer shared");

  return (
    <>
      <button type="button" class="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="share" /> {url ? "Shared" : "Share"}
      </button>
      {open && (
        <div class="panel">
          {url ? (
            <>
              <p>
                Whoever has this address sees the picture:{" "}
                <a href={url} target="_blank" rel="noreferrer">
                  {url}
                </a>
              </p>
              <div class="row">
                <Copy icon="link" name="Copy page’s address" text={() => url} />
                <button type="button" class="quiet danger" disabled={busy} onClick={() => void unshare()}>
                  Stop sharing
                </button>
              </div>
            </>
          ) : (
            <>
              <p>A page of its own for this picture, for whoever has its address. You can take it back.</p>
              <label class="check">
                <input
                  type="checkbox"
                  checked={sentence}
                  onChange={({ currentTarget }) => setSentence(currentTarget.checked)}
                />
                With the sentence, the model and the seed
              </label>
              <div class="row">
                <button type="button" class="button primary" disabled={busy} onClick={() => void share()}>
                  Make the page
                </button>
              </div>
            </>
          )}
        </div>
      )}
    </>
  );
}
