import { useState } from "preact/hooks";
import { announced, toast } from "../state/announce.ts";
import { reachable } from "../state/api.ts";
import { modelsTrouble } from "../state/models.ts";
import { key, refused, setKey } from "../state/session.ts";
import { Icon } from "./icon.tsx";

/** What stands above every page: the edge cannot be reached, nothing can draw, a key is needed. */
export function Notices() {
  return (
    <div class="notices">
      <div role="status">
        {!reachable.value && (
          <p class="notice warn">
            <Icon name="away" />
            <span>
              <strong>{navigator.onLine ? "The API does not answer." : "You are offline."}</strong>{" "}
              {navigator.onLine ? "If it runs on this machine, look at the terminal of npm start." : ""} What you wrote
              stays here; this page goes on by itself once it is back.
            </span>
          </p>
        )}
        {reachable.value && modelsTrouble.value && modelsTrouble.value.remedy !== "key" && (
          <p class="notice warn">
            <Icon name="away" />
            <span>
              <strong>{modelsTrouble.value.title}.</strong> {modelsTrouble.value.detail} This page looks again by
              itself.
            </span>
          </p>
        )}
      </div>
      {key.value === null && <KeyForm />}
    </div>
  );
}

/** Asks for an API key. */
export function KeyForm() {
  const [text, setText] = useState("");
  const wrong = text.trim() !== "" && !/^vgt_[0-9A-Za-z]{38}$/.test(text.trim());
  return (
    <form
      class="notice keyform"
      aria-label="API key"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() !== "" && !wrong) setKey(text.trim());
      }}
    >
      <Icon name="key" />
      <div>
        <label for="key">{refused.value ? "That key did not work" : "An API key, to begin"}</label>
        <p id="key-help">
          {refused.value ? `${refused.value} ` : ""}It stays in this tab until you close it, and is sent to this site
          only.
        </p>
        <div class="row">
          <input
            id="key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="vgt_…"
            value={text}
            aria-describedby="key-help"
            aria-invalid={wrong || undefined}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
          <button type="submit" class="button">
            Use this key
          </button>
        </div>
        {wrong && <p class="field-error">A key is vgt_ and 38 letters and digits. Copy it again, whole.</p>}
      </div>
    </form>
  );
}

export function Toast() {
  return (
    <div class="toast" role="status">
      {toast.value && <span>{toast.value}</span>}
    </div>
  );
}

/** Said, not shown. */
export function Announcer() {
  const { text, turn } = announced.value;
  return (
    <div class="hidden" aria-live="polite">
      <span key={turn}>{text}</span>
    </div>
  );
}
