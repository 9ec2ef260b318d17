import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Brings the focus to something as it appears, once. */
export function useFocus<T extends HTMLElement>(): RefObject<T | null> {
  const element = useRef<T>(null);
  useEffect(() => element.current?.focus(), []);
  return element;
}
