import { useEffect, useRef } from "preact/hooks";
import { api } from "../../state/api.ts";
import { clear, show } from "../../state/job.ts";
import { PromptForm } from "./prompt-form.tsx";
import { Stage } from "./stage.tsx";

/** A sentence on the left, its picture on the right. */
export function Imagine({ id }: { id: string | null }) {
  const client = api.value;
  const before = useRef(id);
  useEffect(() => {
    if (id === null && before.current !== null) clear();
    before.current = id;
    if (id !== null && client) void show(id);
  }, [id, client]);
  return (
    <div class="imagine">
      <section class="ask" aria-label="Your sentence">
        <h1>Describe it as you would tell it.</h1>
        <PromptForm />
      </section>
      <section class="stage" aria-label="Your picture">
        <Stage />
      </section>
    </div>
  );
}
