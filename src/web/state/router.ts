import { computed, signal } from "@preact/signals";
import { parse, type Route } from "./address.ts";

const address = signal(location.pathname + location.search);

/** What the address asks for. */
export const route = computed<Route>(() => parse(address.value));

/** Goes to an address of the page without loading it anew. */
export function navigate(to: string, { replace = false } = {}): void {
  if (to === address.value) return;
  if (replace) history.replaceState(history.state, "", to);
  else history.pushState({ from: address.value }, "", to);
  address.value = to;
}

/** Closes what lies over a page: back to the page where it was opened there, else to `under`. */
export function leave(under: string): void {
  if (history.state?.from === under) history.back();
  else navigate(under, { replace: true });
}

addEventListener("popstate", () => {
  address.value = location.pathname + location.search;
});

// Links are plain links, which open in new tabs and can be copied; a plain click on one stays in the page.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  const to = link.pathname + link.search;
  if (parse(to).page === "nowhere" || link.hash) return;
  event.preventDefault();
  const before = route.value.page;
  navigate(to);
  if (route.value.page !== before) scrollTo(0, 0);
});
