// What the server counted, as pictures.
import { get } from "../api";
import { number, t, type Key } from "../i18n";
import { param, setParams } from "../router";
import { Chart, type Series } from "../ui/chart";
import { Choice, size } from "../ui/fields";
import { Button, Loaded, Page, useData } from "../ui/parts";

type Counts = Record<string, number>;
type Row = { begins: number; counts: Counts };

const HOUR = 3600;
const DAY = 24 * HOUR;
const spans = {
  "2d": { step: "hour", seconds: HOUR, count: 48 },
  "7d": { step: "hour", seconds: HOUR, count: 168 },
  "60d": { step: "day", seconds: DAY, count: 60 },
  "1y": { step: "day", seconds: DAY, count: 366 },
} as const;
type Span = keyof typeof spans;

const sum =
  (...names: string[]) =>
  (c: Counts) =>
    names.reduce((total, name) => total + (c[name] ?? 0), 0);

/** Each chart: its series, from the bottom, and how each comes from the counters. */
const charts: { name: Key; octets?: boolean; series: [Key, (c: Counts) => number][] }[] = [
  { name: "statistics.received", series: [["statistics.accepted", sum("accepted_rcpts")]] },
  {
    name: "statistics.refused",
    series: [
      ["statistics.connections", sum("refused_sessions", "refused_service", "refused_address", "refused_proxy", "refused_resources")],
      ["statistics.clients", sum("refused_gates")],
      ["statistics.senders", sum("refused_senders")],
      ["statistics.recipients", sum("refused_rcpts")],
      ["statistics.messages", sum("refused_messages")],
    ],
  },
  {
    name: "statistics.queue",
    series: [
      ["statistics.here", (c) => Math.max(sum("delivered")(c) - sum("relayed")(c), 0)],
      ["statistics.failed", sum("failed")],
      ["statistics.relayed", sum("relayed")],
      ["statistics.deferred", sum("deferred")],
    ],
  },
  {
    name: "statistics.octets",
    octets: true,
    series: [
      ["statistics.octets-in", sum("accepted_bytes")],
      ["statistics.octets-read", sum("retrieved_bytes")],
    ],
  },
  {
    name: "statistics.logins",
    series: [
      ["statistics.good", sum("login_good_smtp", "login_good_pop3", "login_good_ctrl", "login_good_web")],
      ["statistics.bad", sum("login_bad_smtp", "login_bad_pop3", "login_bad_ctrl", "login_bad_web")],
    ],
  },
];

/** One row for each hour or day, also for those in which nothing was counted. */
function filled(rows: Row[], seconds: number, count: number): Row[] {
  const last = rows[rows.length - 1]?.begins ?? 0;
  const end = last + Math.max(Math.floor((Date.now() / 1000 - last) / seconds), 0) * seconds;
  const all = Array.from({ length: count }, (_, i): Row => ({ begins: end - (count - 1 - i) * seconds, counts: {} }));
  for (const row of rows) {
    const i = count - 1 - Math.round((end - row.begins) / seconds);
    if (i >= 0) all[i] = row;
  }
  return all;
}

function Charts(props: { rows: Row[]; span: Span }) {
  const { seconds, count } = spans[props.span];
  if (props.rows.length === 0) return <p class="quiet">{t("statistics.none")}</p>;
  const rows = filled(props.rows, seconds, count);
  return (
    <>
      {charts.map((c) => {
        const series = c.series.map(([name, of]): Series => ({ name: t(name), values: rows.map((r) => of(r.counts)) }));
        return <Chart key={c.name} title={t(c.name)} begins={rows.map((r) => r.begins)} series={series} text={c.octets ? size : number} />;
      })}
    </>
  );
}

export function Statistics() {
  const asked = param("span");
  const span: Span = asked in spans ? (asked as Span) : "2d";
  const { step, seconds, count } = spans[span];
  const data = useData(span, () => get<Row[]>(`/statistics?step=${step}&from=${Math.floor(Date.now() / 1000) - seconds * count}`));
  return (
    <Page title={t("nav.statistics")} actions={<Button onClick={data.again}>{t("statistics.again")}</Button>}>
      <p>{t("statistics.text")}</p>
      <Choice
        label={t("statistics.span")}
        value={span}
        choices={(Object.keys(spans) as Span[]).map((s): [string, string] => [s, t(("statistics.span." + s) as Key)])}
        onChange={(value) => setParams({ span: value })}
      />
      <Loaded data={data}>{(rows) => <Charts rows={rows} span={span} />}</Loaded>
    </Page>
  );
}
