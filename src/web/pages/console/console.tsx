import { CONSOLE_PARTS, type ConsolePart } from "../../state/address.ts";
import { key, signOut } from "../../state/session.ts";
import { Keys } from "./keys.tsx";
import { Limits } from "./limits.tsx";
import { Usage } from "./usage.tsx";
import { Webhooks } from "./webhooks.tsx";

const NAMES: Record<ConsolePart, string> = { keys: "Keys", usage: "Usage", webhooks: "Webhooks", limits: "Limits" };

/** For those who run things: keys, use, webhooks, limits. Needs a key with the scope admin. */
export function Console({ part }: { part: ConsolePart }) {
  return (
    <div class="console">
      <div class="heading">
        <h1>Console</h1>
        {key.value && (
          <button type="button" class="quiet" onClick={signOut}>
            Forget the key {key.value.slice(0, 10)}… in every tab
          </button>
        )}
      </div>
      <nav class="tabs" aria-label="Console">
        {CONSOLE_PARTS.map((each) => (
          <a
            key={each}
            href={each === "keys" ? "/console" : `/console/${each}`}
            aria-current={each === part ? "page" : undefined}
          >
            {NAMES[each]}
          </a>
        ))}
      </nav>
      {key.value && <Part part={part} />}
    </div>
  );
}

function Part({ part }: { part: ConsolePart }) {
  switch (part) {
    case "keys":
      return <Keys />;
    case "usage":
      return <Usage />;
    case "webhooks":
      return <Webhooks />;
    case "limits":
      return <Limits />;
  }
}
