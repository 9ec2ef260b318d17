import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

/**
 * A modal dialog: the rest of the page waits behind it, Escape and a press beside it close it, and the focus goes back
 * to where it was.
 */
export function Dialog({
  title,
  close,
  children,
  onKey,
}: {
  title: string;
  close: () => void;
  children: ComponentChildren;
  onKey?: (key: string) => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
      onKeyDown={({ key, target }) => {
        if (!(target instanceof HTMLInputElement)) onKey?.(key);
      }}
    >
      <div class="dialog">
        <button type="button" class="quiet close" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
        {children}
      </div>
    </dialog>
  );
}
