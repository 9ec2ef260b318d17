import { Copy } from "./copy.tsx";
import { useFocus } from "./focus.ts";

/** Something that is shown this once. */
export function Secret({ name, secret, done }: { name: string; secret: string; done: () => void }) {
  const panel = useFocus<HTMLElement>();
  return (
    <section class="panel secret" aria-label={name} tabIndex={-1} ref={panel}>
      <h2>{name}</h2>
      <p>Copy it now: it is shown this once.</p>
      <code>{secret}</code>
      <div class="row">
        <Copy icon="key" name="Copy" text={() => secret} />
        <button type="button" class="button" onClick={done}>
          I have it
        </button>
      </div>
    </section>
  );
}
