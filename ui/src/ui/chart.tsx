// Bars over time, and the same as a table.
import { t, time } from "../i18n";
import { Grid } from "./parts";

export type Series = { name: string; values: number[] };

const HEIGHT = 100;
const WIDTH = 10; // of a bar with its gap

function Bars(props: { series: Series[]; most: number; count: number }) {
  const below = new Array<number>(props.count).fill(0);
  return (
    <>
      {props.series.map((s, k) =>
        s.values.map((value, i) => {
          if (value === 0) return null;
          below[i]! += value;
          const y = HEIGHT - (below[i]! / props.most) * HEIGHT;
          return <rect key={k + " " + i} class={"series-" + k} x={i * WIDTH + 1} y={y} width={WIDTH - 2} height={(value / props.most) * HEIGHT} />;
        }),
      )}
    </>
  );
}

/** begins: of each bar, seconds since 1970; text: a value in words. Series stand on each other. */
export function Chart(props: { title: string; begins: number[]; series: Series[]; text: (n: number) => string }) {
  const { begins, series, text } = props;
  const sums = begins.map((_, i) => series.reduce((sum, s) => sum + s.values[i]!, 0));
  const most = Math.max(...sums);
  const totals = series.map((s) => `${s.name}: ${text(s.values.reduce((a, b) => a + b, 0))}`);
  const rows = begins.map((_, i) => i).filter((i) => sums[i]! > 0);
  return (
    <section class="chart">
      <h2>{props.title}</h2>
      <ul class="plain legend">
        {totals.map((line, k) => (
          <li key={k}>
            <svg viewBox="0 0 10 10" aria-hidden="true">
              <rect class={"series-" + k} width="10" height="10" />
            </svg>
            {line}
          </li>
        ))}
      </ul>
      {most > 0 && (
        <>
          <svg class="bars" viewBox={`0 0 ${begins.length * WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${props.title}. ${totals.join(", ")}`}>
            <Bars series={series} most={most} count={begins.length} />
          </svg>
          <p class="quiet">{t("statistics.axis", { from: time(begins[0]!), to: time(begins[begins.length - 1]!), most: text(most) })}</p>
          <details>
            <summary>{t("statistics.table")}</summary>
            <Grid label={props.title} head={[t("statistics.time"), ...series.map((s) => s.name)]}>
              {rows.map((i) => (
                <tr key={i}>
                  <td>{time(begins[i]!)}</td>
                  {series.map((s, k) => (
                    <td key={k}>{text(s.values[i]!)}</td>
                  ))}
                </tr>
              ))}
            </Grid>
          </details>
        </>
      )}
    </section>
  );
}
