import { useRef, useState } from "preact/hooks";
import { charactersOf } from "../../../contract/terms.ts";
import { say } from "../../state/announce.ts";
import { change, draft } from "../../state/draft.ts";
import { modelOf } from "../../state/form.ts";
import { imagine, job } from "../../state/job.ts";
import { models } from "../../state/models.ts";
import { key } from "../../state/session.ts";
import { Icon } from "../../ui/icon.tsx";
import { EXAMPLES, surprise } from "../../words/examples.ts";
import { Settings } from "./settings.tsx";

const NEAR_THE_END = 0.8;

/** The sentence, what it is drawn with, and the button. */
export function PromptForm() {
  const box = useRef<HTMLTextAreaElement>(null);
  const [complaint, setComplaint] = useState<string | null>(null);
  const { prompt } = draft.value;
  const length = charactersOf(prompt);
  const limit = modelOf(draft.value.model, models.value)?.limits.max_prompt_chars ?? 8000;
  const refused = job.value?.trouble?.fields.prompt;
  const said = complaint ?? refused ?? null;

  const go = () => {
    const trouble = complaintAbout(draft.value.prompt, limit);
    setComplaint(trouble);
    if (trouble) box.current?.focus();
    else void imagine();
  };
  const fill = (text: string) => {
    setComplaint(null);
    change({ prompt: text });
  };

  return (
    <form
      class="prompt-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <div class={`sheet${said ? " wrong" : ""}`}>
        <label class="hidden" for="prompt">
          Describe the picture
        </label>
        <textarea
          id="prompt"
          ref={box}
          rows={3}
          value={prompt}
          placeholder="the night my grandmother’s two cats fell asleep on the beach"
          aria-describedby={said ? "prompt-error" : "prompt-help"}
          aria-invalid={said ? true : undefined}
          enterkeyhint="go"
          onInput={({ currentTarget }) => fill(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            go();
          }}
        />
        <div class="sheet-foot">
          <p id="prompt-help" class="fine">
            {length > limit * NEAR_THE_END ? `${length} of ${limit} characters` : "Enter draws it"}
          </p>
          <button type="submit" class="button primary">
            Imagine
          </button>
        </div>
      </div>
      {said && (
        <p id="prompt-error" class="field-error" role="alert">
          {said}
        </p>
      )}
      <fieldset class="examples" aria-label="Examples">
        <button
          type="button"
          class="chip strong"
          onClick={() => {
            fill(surprise(Math.random));
            go();
          }}
        >
          <Icon name="dice" /> Surprise me
        </button>
        {EXAMPLES.map((text) => (
          <button
            key={text}
            type="button"
            class="chip"
            onClick={() => {
              fill(text);
              box.current?.focus();
              say("In the box. Enter draws it.");
            }}
          >
            {text}
          </button>
        ))}
      </fieldset>
      <Settings />
    </form>
  );
}

function complaintAbout(prompt: string, limit: number): string | null {
  if (!key.value) return "Give the page an API key first, above.";
  if (prompt.trim() === "") return "Say what the picture shows: the box is empty.";
  const length = charactersOf(prompt);
  if (length > limit) return `At most ${limit} characters; this has ${length}. Shorten it.`;
  return null;
}
