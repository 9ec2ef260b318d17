import type { Generation, Image } from "../../../contract/generation.ts";
import { say } from "../../state/announce.ts";
import { Icon } from "../../ui/icon.tsx";
import { fileNameOf, sourceOf } from "../../words/picture.ts";
import { codeOf, curlOf } from "../../words/snippets.ts";

/** Takes a picture, or what draws it, out of the page. */
export function Keep({ generation, image }: { generation: Generation; image: Image }) {
  return (
    <fieldset class="actions small" aria-label="Keep it">
      <a class="quiet" href={sourceOf(image)} download={fileNameOf(generation, image)}>
        <Icon name="down" /> Download
      </a>
      <Copy icon="link" name="Copy link" text={() => image.url} />
      <Copy icon="terminal" name="Copy curl" text={() => curlOf(generation, location.origin)} />
      <Copy icon="code" name="Copy code" text={() => codeOf(generation, location.origin)} />
    </fieldset>
  );
}

export function Copy({ icon, name, text }: { icon: "link" | "terminal" | "code"; name: string; text: () => string }) {
  return (
    <button
      type="button"
      class="quiet"
      onClick={() =>
        navigator.clipboard.writeText(text()).then(
          () => say("Copied"),
          () => say("The browser does not let this page copy"),
        )
      }
    >
      <Icon name={icon} /> {name}
    </button>
  );
}
