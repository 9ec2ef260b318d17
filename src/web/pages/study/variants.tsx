import type { sheets } from "study:data";
import { percent, pointsOf } from "../../words/study.ts";
import type { Step, Way, Ways } from "../../words/ways.ts";
import { Mark } from "./plots.tsx";
import { Scrolling } from "./scrolling.tsx";
import { Sheet } from "./sheet.tsx";

const WIDTH = 860;
const LEFT = 220;
const RIGHT = 70;
const LINE = 34;
const TOP = 14;

/** The ways from a sentence to a picture, side by side, and how much of the adapter and of its data is needed. */
export function Variants({ study, sheet }: { study: Ways; sheet?: (typeof sheets)[number] | undefined }) {
  const { name, about, ways, ahead, scale, triples, failures } = study;
  const levels = ways.filter(({ variant }) => variant.startsWith("base/"));
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      <p class="fine">{about}</p>
      <WaysPlot ways={ways} title={`${name}: right, mean of the attributes`} />
      {ahead.length > 0 && (
        <ul class="findings">
          {ahead.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
      <WaysTable ways={ways} caption={`${name}, by attribute`} />
      {scale.length > 2 && (
        <>
          <h3>How much of the adapter</h3>
          <p>Scale 0 is the sentence alone, scale 1 the adapter as it was trained.</p>
          <Curve steps={scale} levels={levels} title={`${name}: right, by the adapter’s scale`} word="scale" />
        </>
      )}
      {triples.length > 1 && (
        <>
          <h3>How much data</h3>
          <p>The adapter without a teacher, trained for the same steps on fewer triples.</p>
          <Curve steps={triples} levels={levels} title={`${name}: right, by triples`} word="triples" logarithmic />
        </>
      )}
      {failures.length > 0 && (
        <>
          <h3>Where it fails</h3>
          {sheet && <Sheet sheet={sheet} />}
          <p>The sentences that the adapter serves worst{sheet ? ", from left to right" : ""}:</p>
          <ol class="failures">
            {failures.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** Which mark and colour: the sentence's, the adapter's, the keyword list's, or another way's. */
function markOf(variant: string): number {
  if (variant === "base/narrative") return 0;
  if (variant === "base/keyword") return 2;
  return variant.startsWith("adapter/") ? 1 : 3;
}

const told = ([low, high]: [number, number]) => `${percent(low)} to ${percent(high)}`;

function WaysPlot({ ways, title }: { ways: Way[]; title: string }) {
  const at = scaleOf(
    ways.map(({ values, interval }) => ({ mean: values.mean ?? 0, interval })),
    LEFT,
    WIDTH - RIGHT,
  );
  const bottom = TOP + ways.length * LINE;
  const words = ways.map(
    ({ variant, values, interval }) =>
      `${variant} ${percent(values.mean ?? 0)}${interval ? `, ${told(interval)}` : ""}`,
  );
  return (
    <figure class="mat chart">
      <Scrolling label={`Plot: ${title}`}>
        <svg
          viewBox={`0 0 ${WIDTH} ${bottom + 28}`}
          role="img"
          aria-label={`${title}, 95 % intervals. ${words.join(". ")}`}
        >
          {at.ticks.map((value) => (
            <g key={value}>
              <line class="rule" x1={at(value)} x2={at(value)} y1={TOP} y2={bottom} />
              <text x={at(value)} y={bottom + 18} text-anchor="middle">
                {percent(value)}
              </text>
            </g>
          ))}
          {ways.map(({ variant, values, interval }, line) => {
            const y = TOP + (line + 0.5) * LINE;
            const mark = markOf(variant);
            return (
              <g key={variant}>
                <text x={0} y={y + 4}>
                  {variant}
                </text>
                {interval && (
                  <line class={`interval mark-${mark}`} x1={at(interval[0])} x2={at(interval[1])} y1={y} y2={y} />
                )}
                <Mark index={mark} cx={at(values.mean ?? 0)} cy={y} />
                <text class="strong" x={WIDTH} y={y + 4} text-anchor="end">
                  {percent(values.mean ?? 0)}
                </text>
              </g>
            );
          })}
        </svg>
      </Scrolling>
    </figure>
  );
}

function WaysTable({ ways, caption }: { ways: Way[]; caption: string }) {
  const attributes = Object.keys(ways[0]?.values ?? {});
  return (
    <>
      <Scrolling label={`Table: ${caption}`}>
        <table class="ways">
          <caption>{caption}</caption>
          <thead>
            <tr>
              <td />
              {attributes.map((attribute) => (
                <th key={attribute} scope="col">
                  {attribute}
                </th>
              ))}
              <th scope="col">gain of the mean, points</th>
              <th scope="col">KID</th>
              <th scope="col">distance closed</th>
            </tr>
          </thead>
          <tbody>
            {ways.map(({ variant, meaning, values, intervals, interval, gain, kid, closed }) => (
              <tr key={variant}>
                <th scope="row">
                  {variant}
                  {meaning && <small>{meaning}</small>}
                </th>
                {attributes.map((attribute) => {
                  const ends = attribute === "mean" ? interval : intervals[attribute];
                  return (
                    <td key={attribute}>
                      {percent(values[attribute] ?? 0)}
                      {ends && <small>{told(ends)}</small>}
                    </td>
                  );
                })}
                <td>{gain && `${pointsOf(gain[0])} to ${pointsOf(gain[1])}`}</td>
                <td>{kid?.toPrecision(3)}</td>
                <td>{closed}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolling>
      <p class="fine">
        Small: 95 % intervals. KID: distance of the pictures to fresh renders on the judge’s features; lower is better.
      </p>
    </>
  );
}

interface CurveProps {
  steps: Step[];
  /** Ways whose means stand as lines across. */
  levels: Way[];
  title: string;
  word: string;
  logarithmic?: boolean;
}

function Curve({ steps, levels, title, word, logarithmic = false }: CurveProps) {
  const [left, right, bottom] = [60, WIDTH - 130, 240];
  const lines = levels.map(({ variant, values }) => ({ variant, mean: values.mean ?? 0, interval: null }));
  const up = scaleOf([...steps, ...lines], bottom, TOP);
  const place = (at: number) => (logarithmic ? Math.log(at) : at);
  const [first, last] = [place(steps[0]?.at ?? 0), place(steps.at(-1)?.at ?? 1)];
  const across = (at: number) => left + 24 + ((place(at) - first) / (last - first || 1)) * (right - left - 48);
  const words = steps.map(
    ({ at, mean, interval }) => `${word} ${at}: ${percent(mean)}${interval ? `, ${told(interval)}` : ""}`,
  );
  return (
    <figure class="mat chart">
      <Scrolling label={`Plot: ${title}`}>
        <svg
          viewBox={`0 0 ${WIDTH} ${bottom + 46}`}
          role="img"
          aria-label={`${title}, 95 % intervals. ${words.join(". ")}`}
        >
          {up.ticks.map((value) => (
            <g key={value}>
              <line class="rule" x1={left} x2={right} y1={up(value)} y2={up(value)} />
              <text x={left - 8} y={up(value) + 4} text-anchor="end">
                {percent(value)}
              </text>
            </g>
          ))}
          {lines.map(({ variant, mean }) => (
            <g key={variant}>
              <line class="level" x1={left} x2={right} y1={up(mean)} y2={up(mean)} />
              <text x={right + 8} y={up(mean) + 4}>
                {variant}
              </text>
            </g>
          ))}
          <polyline class="path" points={steps.map(({ at, mean }) => `${across(at)},${up(mean)}`).join(" ")} />
          {steps.map(({ at, mean, interval }) => (
            <g key={at}>
              <title>{`${word} ${at}: ${percent(mean)}`}</title>
              {interval && (
                <line
                  class="interval mark-1"
                  x1={across(at)}
                  x2={across(at)}
                  y1={up(interval[0])}
                  y2={up(interval[1])}
                />
              )}
              <Mark index={1} cx={across(at)} cy={up(mean)} />
              <text x={across(at)} y={bottom + 18} text-anchor="middle">
                {at}
              </text>
            </g>
          ))}
          <text x={(left + right) / 2} y={bottom + 38} text-anchor="middle">
            {word}
            {logarithmic && " (logarithmic)"}
          </text>
        </svg>
      </Scrolling>
    </figure>
  );
}

/** Places of shares between two ends, from the lowest tenth that is needed to the highest. */
function scaleOf(steps: Pick<Step, "mean" | "interval">[], start: number, end: number) {
  const bounds = steps.flatMap(({ mean, interval }) => [mean, ...(interval ?? [])]);
  const low = Math.floor(Math.min(...bounds) * 10);
  const high = Math.max(low + 1, Math.ceil(Math.max(...bounds) * 10));
  const at = (value: number) => start + ((value * 10 - low) / (high - low)) * (end - start);
  return Object.assign(at, { ticks: Array.from({ length: high - low + 1 }, (_, index) => (low + index) / 10) });
}
