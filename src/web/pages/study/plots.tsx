import { attributesOf, percent, pointsOf, type Row, type Study } from "../../words/study.ts";
import { Scrolling } from "./scrolling.tsx";

const WIDTH = 860;
const LEFT = 90;
const RIGHT = 20;
const LINE = 40;
const TOP = 14;
/** Where intervals are written out. */
const LABELS = 150;
const x = (value: number): number => LEFT + value * (WIDTH - LEFT - RIGHT);

/** One line for each attribute, one mark for each variant: how far the adapter brings the one to the other. */
export function Dots({ rows, title }: { rows: Row[]; title: string }) {
  const attributes = attributesOf(rows);
  const height = TOP + attributes.length * LINE + 28;
  return (
    <figure class="mat chart">
      <p class="legend" aria-hidden="true">
        {rows.map(({ variant }, index) => (
          <span key={variant}>
            <svg width={16} height={16} viewBox="0 0 16 16" aria-hidden="true">
              <Mark index={index} cx={8} cy={8} />
            </svg>{" "}
            {variant}
          </span>
        ))}
      </p>
      <Scrolling label={`Plot: ${title}`}>
        <svg
          viewBox={`0 0 ${WIDTH} ${height}`}
          role="img"
          aria-label={`${title}. ${rows.map(({ variant, values }) => `${variant}: ${attributes.map((name) => `${name} ${percent(values[name] ?? 0)}`).join(", ")}`).join(". ")}`}
        >
          {[0, 0.25, 0.5, 0.75, 1].map((value) => (
            <g key={value}>
              <line class="rule" x1={x(value)} x2={x(value)} y1={TOP} y2={height - 26} />
              <text x={x(value)} y={height - 8} text-anchor="middle">
                {percent(value)}
              </text>
            </g>
          ))}
          {attributes.map((attribute, line) => {
            const y = TOP + line * LINE + LINE / 2;
            const values = rows.map(({ values: all }) => all[attribute]).filter((value) => value !== undefined);
            return (
              <g key={attribute}>
                <text class={attribute === "mean" ? "strong" : undefined} x={0} y={y + 4}>
                  {attribute}
                </text>
                <line class="span" x1={x(Math.min(...values))} x2={x(Math.max(...values))} y1={y} y2={y} />
                {rows.map(({ variant, values: all, interval, intervals }, index) => (
                  <g key={variant}>
                    <title>{`${variant}, ${attribute}: ${percent(all[attribute] ?? 0)}`}</title>
                    <Interval
                      at={y + 10 + index * 4}
                      index={index}
                      ends={attribute === "mean" ? interval : intervals[attribute]}
                    />
                    {all[attribute] !== undefined && <Mark index={index} cx={x(all[attribute])} cy={y} />}
                  </g>
                ))}
              </g>
            );
          })}
        </svg>
      </Scrolling>
    </figure>
  );
}

function Interval({ ends, at, index }: { ends: [number, number] | null | undefined; at: number; index: number }) {
  return ends ? <line class={`interval mark-${index}`} x1={x(ends[0])} x2={x(ends[1])} y1={at} y2={at} /> : null;
}

/** Shapes differ as well as colours. */
export function Mark({ index, cx, cy }: { index: number; cx: number; cy: number }) {
  if (index % 4 === 0) return <circle class={`mark-${index}`} cx={cx} cy={cy} r={6} />;
  if (index % 4 === 1) return <rect class={`mark-${index}`} x={cx - 6} y={cy - 6} width={12} height={12} rx={2} />;
  if (index % 4 === 2) return <path class={`mark-${index}`} d={`M${cx} ${cy - 8}l8 8-8 8-8-8z`} />;
  return <path class={`mark-${index}`} d={`M${cx} ${cy - 7}l7 13h-14z`} />;
}

/** Intervals around nothing gained. */
export function Gains({ gains, title }: { gains: Study["gains"]; title: string }) {
  const most = Math.max(0.1, ...gains.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)])) * 1.05;
  const room = WIDTH - LEFT - RIGHT - LABELS;
  const at = (value: number) => LEFT + (room * (value + most)) / (2 * most);
  const height = TOP + gains.length * 28 + 28;
  return (
    <figure class="mat chart">
      <p class="legend" aria-hidden="true">
        Gain of the adapter over the sentence alone, in points, with 95 % intervals
      </p>
      <Scrolling label={`Plot: ${title}`}>
        <svg
          viewBox={`0 0 ${WIDTH} ${height}`}
          role="img"
          aria-label={`${title} in points, 95 % intervals. ${gains.map(({ attribute, low, high }) => `${attribute} ${pointsOf(low)} to ${pointsOf(high)}`).join(", ")}`}
        >
          <line class="axis" x1={at(0)} x2={at(0)} y1={TOP} y2={height - 26} />
          <text x={at(0)} y={height - 8} text-anchor="middle">
            0
          </text>
          {gains.map(({ attribute, low, high }, line) => {
            const y = TOP + line * 28 + 14;
            return (
              <g key={attribute}>
                <title>{`${attribute}: ${pointsOf(low)} to ${pointsOf(high)}`}</title>
                <text class={attribute === "mean" ? "strong" : undefined} x={0} y={y + 4}>
                  {attribute}
                </text>
                <line class={low > 0 ? "gain sure" : "gain"} x1={at(low)} x2={at(high)} y1={y} y2={y} />
                <text x={WIDTH - RIGHT} y={y + 4} text-anchor="end">
                  {`${pointsOf(low)} to ${pointsOf(high)}`}
                </text>
              </g>
            );
          })}
        </svg>
      </Scrolling>
    </figure>
  );
}

/** The numbers themselves. */
export function Rows({ rows, caption }: { rows: Row[]; caption: string }) {
  const attributes = attributesOf(rows);
  return (
    <Scrolling label={`Table: ${caption}`}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <td />
            {attributes.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ variant, values }) => (
            <tr key={variant}>
              <th scope="row">{variant}</th>
              {attributes.map((name) => (
                <td key={name}>{values[name] === undefined ? "" : percent(values[name])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  );
}
