import { useState } from "preact/hooks";
import { useFocus } from "./focus.ts";
import { Icon, type IconName } from "./icon.tsx";

/** A button for what cannot be undone: it asks once more, in its own place. */
export function Confirm({
  icon,
  name,
  question,
  yes,
  act,
}: {
  icon?: IconName;
  name: string;
  question: string;
  yes: string;
  act: () => void;
}) {
  const [asking, ask] = useState(false);
  if (!asking)
    return (
      <button type="button" class="quiet danger" onClick={() => ask(true)}>
        {icon && <Icon name={icon} />} {name}
      </button>
    );
  return <Question question={question} yes={yes} act={act} close={() => ask(false)} />;
}

/** Stands where the press was, and the focus with it. */
function Question({
  question,
  yes,
  act,
  close,
}: {
  question: string;
  yes: string;
  act: () => void;
  close: () => void;
}) {
  const button = useFocus<HTMLButtonElement>();
  return (
    <span class="row" role="alert">
      <span>{question}</span>
      <button
        type="button"
        class="button danger"
        ref={button}
        onClick={() => {
          close();
          act();
        }}
      >
        {yes}
      </button>
      <button type="button" class="quiet" onClick={close}>
        Keep
      </button>
    </span>
  );
}
