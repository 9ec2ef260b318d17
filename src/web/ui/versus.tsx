import { useId, useState } from "preact/hooks";

export interface Side {
  src: string;
  alt: string;
  name: string;
}

/** Two pictures in one frame, and a slider that says where the one ends and the other begins. */
export function Versus({ left, right, shape }: { left: Side; right: Side; shape: number }) {
  const [at, setAt] = useState(50);
  const id = useId();
  return (
    <div class="versus" style={{ "--at": `${at}%`, "--shape": shape }}>
      <img class="fill" src={left.src} alt={left.alt} />
      <img class="fill over" src={right.src} alt={right.alt} />
      <span class="name left" aria-hidden="true">
        {left.name}
      </span>
      <span class="name right" aria-hidden="true">
        {right.name}
      </span>
      <label class="hidden" for={id}>
        How much of “{left.name}” covers “{right.name}”
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={100}
        value={at}
        aria-valuetext={`${at} % ${left.name}, ${100 - at} % ${right.name}`}
        onInput={({ currentTarget }) => setAt(Number(currentTarget.value))}
      />
      <span class="handle" aria-hidden="true" />
    </div>
  );
}
