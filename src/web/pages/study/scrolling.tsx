import type { ComponentChildren } from "preact";

/** What is wider than a phone scrolls by itself, with the keyboard too. */
export function Scrolling({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable (WCAG 2.1.1)
    <section class="scrolls" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
