import type { Reading } from "../../contract/generation.ts";

/**
 * How the sentence was understood, strongest first.
 *
 * @param title whose understanding it is, where several stand side by side
 * @param press what a press on a tag does; absent: nothing can be pressed
 */
export function ReadingList({
  reading,
  title = "Understood as",
  press,
}: {
  reading: Reading;
  title?: string;
  press?: ((tag: string) => void) | undefined;
}) {
  if (reading.length === 0) return null;
  return (
    <section class="reading" aria-label={title}>
      <h2>{title}</h2>
      <ol>
        {reading.map(({ tag, score }) => (
          <li key={tag}>
            {press ? (
              <button
                type="button"
                class="tag"
                onClick={() => press(tag)}
                title={`Draw again with more weight on “${tag}”`}
              >
                <Tag tag={tag} score={score} />
              </button>
            ) : (
              <span class="tag">
                <Tag tag={tag} score={score} />
              </span>
            )}
          </li>
        ))}
      </ol>
      {press && <p class="fine">Press one to draw the same seed again with more weight on it.</p>}
    </section>
  );
}

function Tag({ tag, score }: { tag: string; score: number }) {
  const percent = Math.round(score * 100);
  return (
    <>
      <span>{tag}</span>
      <span class="score">
        <span class="hidden">, </span>
        {percent} %
      </span>
      <span class="bar-fill" style={{ "--score": score }} aria-hidden="true" />
    </>
  );
}
