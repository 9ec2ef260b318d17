import { useState } from "preact/hooks";
import { Sending } from "../../ui/fields.tsx";

/** The sentence word by word: one is changed, the seed stays, and the picture shows what the word did. */
export function WhatIf({ prompt, draw, close }: { prompt: string; draw: (prompt: string) => void; close: () => void }) {
  // Words and the spaces between them, so that the sentence keeps its line ends.
  const parts = prompt.split(/(\s+)/);
  const [place, setPlace] = useState<number | null>(null);
  const [word, setWord] = useState("");
  const changed = place !== null && word.trim() !== parts[place];
  return (
    <form
      class="what-if"
      aria-label="What if one word were another"
      onSubmit={(event) => {
        event.preventDefault();
        if (!changed || place === null) return;
        const sentence = parts.toSpliced(place, 1, word.trim()).join("").replace(/ {2,}/g, " ").trim();
        if (sentence !== "") draw(sentence);
      }}
      onKeyDown={({ key }) => key === "Escape" && close()}
    >
      <p class="fine">Choose a word and write another. The seed stays, so only what the word changes does.</p>
      <p class="told words">
        {parts.map((part, index) =>
          /^\s*$/.test(part) ? (
            " "
          ) : index === place ? (
            <input
              key={index}
              type="text"
              aria-label={`Instead of “${part}”`}
              value={word}
              size={Math.max(3, word.length)}
              ref={(input) => {
                if (input && !input.dataset.seen) {
                  input.dataset.seen = "1";
                  input.focus();
                  input.select();
                }
              }}
              onInput={({ currentTarget }) => setWord(currentTarget.value)}
            />
          ) : (
            <button
              key={index}
              type="button"
              class="word"
              onClick={() => {
                setPlace(index);
                setWord(part);
              }}
            >
              {part}
            </button>
          ),
        )}
      </p>
      <Sending label="Draw with the same seed" disabled={!changed} close={close} />
    </form>
  );
}
