import { sheets, tables } from "study:data";
import { measuresOf, type Study as StudyData, studyOf } from "../../words/study.ts";
import { Dots, Gains, Rows } from "./plots.tsx";

/** What has been measured, as it stands in docs/study. */
export function Study() {
  const studies = tables.flatMap((table) => studyOf(table) ?? []);
  const measures = tables.flatMap((table) => measuresOf(table) ?? []);
  return (
    <div class="study">
      <h1>What has been measured</h1>
      <p class="lead">
        The bundled miniature draws the same sentences with the same seeds in each row; a judge network, tested first on
        scenes whose content is known, says what it sees. Sentences and combinations that no training has seen. The
        adapter should bring the dots of the sentence to those of the keyword list.
      </p>
      {sheets.map(({ url, alt, width, height }) => (
        <figure key={url} class="mat">
          <img class="sheet-picture" src={url} alt={alt} width={width} height={height} loading="lazy" />
          <figcaption>
            <p class="fine">{alt}</p>
          </figcaption>
        </figure>
      ))}
      {studies.map((study) => (
        <Comparison key={study.name} study={study} />
      ))}
      {measures.map(({ name, about, rows }) => (
        <section key={name} aria-label={name}>
          <h2>{name}</h2>
          <p class="fine">{about}</p>
          <Rows rows={rows} caption={name} />
        </section>
      ))}
    </div>
  );
}

function Comparison({ study }: { study: StudyData }) {
  return (
    <section aria-label={study.name}>
      <h2>{study.name}</h2>
      <p class="fine">{study.about}</p>
      {study.closed && (
        <p>
          Of the distance between the sentence and the keyword list, the adapter closes <strong>{study.closed}</strong>.
        </p>
      )}
      <Dots rows={study.rows} title={`${study.name}: right, by attribute`} />
      {study.gains.length > 0 && <Gains gains={study.gains} title={`${study.name}: gain of the adapter`} />}
      <details>
        <summary>As tables</summary>
        <Rows rows={study.rows} caption="All scenes" />
        {study.simple.length > 0 && <Rows rows={study.simple} caption="Scenes with one kind of thing" />}
        {study.instrument.length > 0 && <Rows rows={study.instrument} caption="The judge, on scenes that are known" />}
      </details>
    </section>
  );
}
