import type { sheets } from "study:data";

/** A contact sheet with what it shows. */
export function Sheet({ sheet: { url, alt, width, height } }: { sheet: (typeof sheets)[number] }) {
  return (
    <figure class="mat">
      <img class="sheet-picture" src={url} alt={alt} width={width} height={height} loading="lazy" />
      <figcaption>
        <p class="fine">{alt}</p>
      </figcaption>
    </figure>
  );
}
