import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Compare } from "./pages/compare/compare.tsx";
import { Gallery } from "./pages/gallery/gallery.tsx";
import { Imagine } from "./pages/imagine/imagine.tsx";
import type { Route } from "./state/address.ts";
import { route } from "./state/router.ts";
import { lazy } from "./ui/lazy.tsx";
import { Announcer, Notices, Toast } from "./ui/notices.tsx";

const PAGES: { page: Route["page"]; href: string; name: string }[] = [
  { page: "imagine", href: "/", name: "Imagine" },
  { page: "compare", href: "/compare", name: "Compare" },
  { page: "gallery", href: "/gallery", name: "Gallery" },
  { page: "study", href: "/study", name: "Study" },
  { page: "console", href: "/console", name: "Console" },
];

// Most visitors never go there.
const Console = lazy(() => import("./pages/console/console.tsx").then((module) => module.Console));
const Study = lazy(() => import("./pages/study/study.tsx").then((module) => module.Study));

const TITLES: Record<Route["page"], string> = {
  imagine: "Imagine",
  compare: "Compare",
  gallery: "Gallery",
  console: "Console",
  study: "Study",
  nowhere: "Not found",
};

export function App() {
  const { page } = route.value;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="/" aria-label="Vignette, start page">
          <img src="/favicon.svg" alt="" width={26} height={26} />
          <span>Vignette</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ page: each, href, name }) => (
            <a key={each} href={href} aria-current={each === page ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
      </header>
      <Notices />
      <Main page={page}>
        <View route={route.value} />
      </Main>
      <footer class="foot">
        <p>A sentence in, the picture you meant out.</p>
        <p>
          <a href="/docs">API reference</a>
        </p>
      </footer>
      <Toast />
      <Announcer />
    </>
  );
}

function View({ route }: { route: Route }) {
  switch (route.page) {
    case "imagine":
      return <Imagine id={route.id} />;
    case "compare":
      return <Compare ids={route.ids} />;
    case "gallery":
      return <Gallery id={route.id} />;
    case "console":
      return <Console part={route.part} />;
    case "study":
      return <Study />;
    default:
      return (
        <div class="empty">
          <h1>There is nothing here</h1>
          <p>
            The address may be mistyped. <a href="/">Imagine a picture</a> instead.
          </p>
        </div>
      );
  }
}

/** A new page begins at its heading, also for those who hear it. */
function Main({ page, children }: { page: Route["page"]; children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(page);
  useEffect(() => {
    document.title = `${TITLES[page]} · Vignette`;
    if (before.current !== page) main.current?.focus({ preventScroll: true });
    before.current = page;
  }, [page]);
  return (
    <main id="main" ref={main} tabIndex={-1} aria-label={TITLES[page]}>
      {children}
    </main>
  );
}
