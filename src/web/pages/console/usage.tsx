import { useState } from "preact/hooks";
import type { Usage as UsageData } from "../../../contract/usage.ts";
import { at, edgeNow } from "../../state/clock.ts";
import { Choice } from "../../ui/fields.tsx";
import { useLoad } from "../../ui/load.ts";
import { TroubleCard } from "../../ui/trouble.tsx";
import { ceilingOf, daysOf } from "../../words/chart.ts";

const WINDOWS = ["7", "30", "90"] as const;
const WIDTH = 900;
const HEIGHT = 220;
const FOOT = 22;
const LEFT = 40;

/** What was drawn per day, and what is left. */
export function Usage() {
  const [days, setDays] = useState("30");
  const { data, trouble, reload } = useLoad<UsageData>((client) => client.usage({ days: Number(days) }), [days]);
  return (
    <section class="part" aria-label="Usage">
      <Choice label="Days" name="days" value={days} options={WINDOWS.map((each) => [each, each])} onChange={setDays} />
      {trouble && <TroubleCard trouble={trouble} retry={reload} />}
      {data && <Chart usage={data} days={Number(days)} />}
      {data && <Quotas usage={data} />}
    </section>
  );
}

/** Bars of two parts: drawn, and answered from pictures that were drawn before. */
function Chart({ usage, days }: { usage: UsageData; days: number }) {
  const rows = daysOf(usage.data, days, edgeNow());
  const top = ceilingOf(rows.map(({ images, cached }) => images + cached));
  const step = (WIDTH - LEFT) / rows.length;
  const tall = (value: number) => (value / top) * (HEIGHT - FOOT - 10);
  const drawn = rows.reduce((sum, { images }) => sum + images, 0);
  const cached = rows.reduce((sum, day) => sum + day.cached, 0);
  return (
    <figure class="mat chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${drawn} pictures drawn and ${cached} requests answered from the cache in ${days} days. The table below has each day.`}
      >
        {[0.5, 1].map((part) => (
          <g key={part}>
            <line
              class="rule"
              x1={LEFT}
              x2={WIDTH}
              y1={HEIGHT - FOOT - tall(top * part)}
              y2={HEIGHT - FOOT - tall(top * part)}
            />
            <text x={LEFT - 8} y={HEIGHT - FOOT - tall(top * part) + 4} text-anchor="end">
              {top * part}
            </text>
          </g>
        ))}
        {rows.map(({ date, images, cached: reused }, index) => (
          <g key={date}>
            <title>{`${date}: ${images} drawn, ${reused} from the cache`}</title>
            <rect
              class="drawn"
              x={LEFT + index * step + step * 0.15}
              width={step * 0.7}
              y={HEIGHT - FOOT - tall(images)}
              height={tall(images)}
            />
            <rect
              class="cached"
              x={LEFT + index * step + step * 0.15}
              width={step * 0.7}
              y={HEIGHT - FOOT - tall(images + reused)}
              height={tall(reused)}
            />
            {(index === 0 || index === rows.length - 1) && (
              <text x={index === 0 ? LEFT : WIDTH} y={HEIGHT - 4} text-anchor={index === 0 ? "start" : "end"}>
                {date}
              </text>
            )}
          </g>
        ))}
        <line class="rule" x1={LEFT} x2={WIDTH} y1={HEIGHT - FOOT} y2={HEIGHT - FOOT} />
      </svg>
      <figcaption>
        <p class="legend">
          <span class="swatch drawn" /> {drawn} pictures drawn <span class="swatch cached" /> {cached} requests answered
          from the cache
        </p>
        <details>
          <summary>As a table</summary>
          <table>
            <thead>
              <tr>
                <th scope="col">Day (UTC)</th>
                <th scope="col">Generations</th>
                <th scope="col">Pictures drawn</th>
                <th scope="col">From the cache</th>
              </tr>
            </thead>
            <tbody>
              {usage.data.map(({ date, generations, images, cached: reused }) => (
                <tr key={date}>
                  <th scope="row">{date}</th>
                  <td>{generations}</td>
                  <td>{images}</td>
                  <td>{reused}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      </figcaption>
    </figure>
  );
}

/** What is left of each limit that holds for the key in use. */
export function Quotas({ usage }: { usage: Pick<UsageData, "quotas"> }) {
  if (usage.quotas.length === 0) return <p class="fine">No limit holds for the key in use.</p>;
  return (
    <ul class="entries">
      {usage.quotas.map(({ policy, limit, remaining, resets_at }) => (
        <li key={policy}>
          <div>
            <h2>{policy.replaceAll("-", " ")}</h2>
            <p class="fine">
              {remaining} of {limit} left{resets_at ? ` · all of it again ${at(resets_at)}` : ""}
            </p>
          </div>
          <meter aria-label={`${policy}: ${remaining} of ${limit} left`} min={0} max={limit} value={remaining} />
        </li>
      ))}
    </ul>
  );
}
