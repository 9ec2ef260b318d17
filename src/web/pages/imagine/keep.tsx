import type { Generation, Image } from "../../../contract/generation.ts";
import { job } from "../../state/job.ts";
import { Copy } from "../../ui/copy.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Share } from "../../ui/share.tsx";
import { fileNameOf, sourceOf } from "../../words/picture.ts";
import { codeOf, curlOf } from "../../words/snippets.ts";

/** Takes a picture, or what draws it, out of the page. */
export function Keep({ generation, image }: { generation: Generation; image: Image }) {
  const changed = (next: Generation) => {
    if (job.value?.generation?.id === next.id) job.value = { ...job.value, generation: next };
  };
  return (
    <fieldset class="actions small" aria-label="Keep it">
      <a class="quiet" href={sourceOf(image)} download={fileNameOf(generation, image)}>
        <Icon name="down" /> Download
      </a>
      <Copy icon="link" name="Copy link" text={() => image.url} />
      <Copy icon="terminal" name="Copy curl" text={() => curlOf(generation, location.origin)} />
      <Copy icon="code" name="Copy code" text={() => codeOf(generation, location.origin)} />
      {!image.flagged && <Share key={image.url} generation={generation} image={image} changed={changed} />}
    </fieldset>
  );
}
