import { sheets, tables } from "study:data";
import { measuresOf, type Study as StudyData, studyOf } from "../../words/study.ts";
import { waysOf } from "../../words/ways.ts";
import { Dots, Gains, Rows } from "./plots.tsx";
import { Sheet } from "./sheet.tsx";
import { Variants } from "./variants.tsx";

/** What has been measured, as it stands in docs/study. */
export function Study() {
  const studies = tables.flatMap((table) => studyOf(table) ?? []);
  const variants = tables.flatMap((table) => {
    const found = waysOf(table);
    return found ? { ...found, sheet: sheets.find(({ name }) => name === `${table.name}-failures`) } : [];
  });
  const measures = tables.flatMap((table) => measuresOf(table) ?? []);
  return (
    <div class="study">
      <h1>What has been measured</h1>
      <p class="lead">
        The bundled miniature draws the same sentences with the same seeds in each row; a judge network, tested first on
        scenes whose content is known, says what it sees. Sentences and combinations that no training has seen. The
        adapter should bring the dots of the sentence to those of the keyword list.
      </p>
      {sheets
        .filter((sheet) => !variants.some((shown) => shown.sheet === sheet))
        .map((sheet) => (
          <Sheet key={sheet.url} sheet={sheet} />
        ))}
      {studies.map((study) => (
        <Comparison key={study.name} study={study} />
      ))}
      {variants.map((study) => (
        <Variants key={study.name} study={study} sheet={study.sheet} />
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
