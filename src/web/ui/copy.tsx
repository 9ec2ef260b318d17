import { say } from "../state/announce.ts";
import { Icon, type IconName } from "./icon.tsx";

/** Puts a text on the clipboard. */
export function Copy({ icon, name, text }: { icon: IconName; name: string; text: () => string }) {
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
