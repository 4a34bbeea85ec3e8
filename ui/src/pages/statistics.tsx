// What the server counted, as pictures.
import { useState } from "preact/hooks";
import { get } from "../api";
import { number, t, type Key } from "../i18n";
import { param, setParams } from "../router";
import { isDelegate } from "../session";
import { Chart, type Series } from "../ui/chart";
import { Choice, size } from "../ui/fields";
import { Button, Grid, Link, Loaded, Page, useData } from "../ui/parts";
import { PIECE, useDomains, type DomainRow } from "../ui/pieces";

type Counts = Record<string, number>;
type Row = { begins: number; counts: Counts };
type DomainCounts = { domain: string; counts: Counts };

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
type Plan = { name: Key; octets?: boolean; series: [Key, (c: Counts) => number][] };
const charts: Plan[] = [
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
      ["statistics.octets-relayed", sum("relayed_bytes")],
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

const columns: { name: Key; figure: string; octets?: boolean }[] = [
  { name: "statistics.accepted-here", figure: "accepted" },
  { name: "statistics.refused", figure: "refused" },
  { name: "statistics.here", figure: "delivered" },
  { name: "statistics.in", figure: "octets_in", octets: true },
  { name: "statistics.relayed", figure: "sent" },
  { name: "statistics.out", figure: "octets_out", octets: true },
  { name: "statistics.deferred", figure: "deferred" },
  { name: "statistics.failed", figure: "failed" },
];
const series = (...figures: string[]): Plan["series"] => columns.filter((c) => figures.includes(c.figure)).map((c) => [c.name, sum(c.figure)]);
const domainCharts: Plan[] = [
  { name: "statistics.smtp-to", series: series("accepted", "refused") },
  { name: "statistics.became", series: series("delivered", "sent", "deferred", "failed") },
  { name: "statistics.octets", octets: true, series: series("octets_in", "octets_out") },
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

function Charts(props: { rows: Row[]; span: Span; charts: Plan[] }) {
  const { seconds, count } = spans[props.span];
  if (props.rows.length === 0) return <p class="quiet">{t("statistics.none")}</p>;
  const rows = filled(props.rows, seconds, count);
  return (
    <>
      {props.charts.map((c) => {
        const series = c.series.map(([name, of]): Series => ({ name: t(name), values: rows.map((r) => of(r.counts)) }));
        return <Chart key={c.name} title={t(c.name)} begins={rows.map((r) => r.begins)} series={series} text={c.octets ? size : number} />;
      })}
    </>
  );
}

const query = (span: Span) => `?step=${spans[span].step}&from=${Math.floor(Date.now() / 1000) - spans[span].seconds * spans[span].count}`;

/** Of the server, or of the domain. */
function Figures(props: { span: Span; domain: string; again: number }) {
  const { span, domain } = props;
  const url = domain ? `/domains/${encodeURIComponent(domain)}/statistics` : "/statistics";
  const data = useData(`${url} ${span} ${props.again}`, () => get<Row[]>(url + query(span)));
  return <Loaded data={data}>{(rows) => <Charts rows={rows} span={span} charts={domain ? domainCharts : charts} />}</Loaded>;
}

/** Those with the most mail first. */
function ranked(domains: DomainRow[], counted: DomainCounts[]): DomainCounts[] {
  const counts = new Map(counted.map((c) => [c.domain, c.counts]));
  const weight = sum("accepted", "delivered", "sent");
  return domains
    .map((d): DomainCounts => ({ domain: d.domain, counts: counts.get(d.domain) ?? {} }))
    .sort((a, b) => weight(b.counts) - weight(a.counts) || (a.domain < b.domain ? -1 : 1));
}

function DomainTable(props: { rows: DomainCounts[]; span: Span }) {
  const [search, setSearch] = useState("");
  const found = props.rows.filter((r) => r.domain.includes(search.trim().toLowerCase()));
  return (
    <>
      {props.rows.length > 10 && (
        <input
          type="search"
          class="search"
          placeholder={t("app.search")}
          aria-label={t("app.search")}
          value={search}
          onInput={(e) => setSearch(e.currentTarget.value)}
        />
      )}
      {found.length === 0 && <p class="quiet">{t("app.no-match")}</p>}
      <Grid label={t("domains.title")} head={[t("domains.name"), ...columns.map((c) => t(c.name))]}>
        {found.slice(0, PIECE).map((r) => (
          <tr key={r.domain}>
            <td>
              <Link to={`/statistics?span=${props.span}&domain=${encodeURIComponent(r.domain)}`}>{r.domain}</Link>
            </td>
            {columns.map((c) => (
              <td key={c.figure}>{(c.octets ? size : number)(r.counts[c.figure] ?? 0)}</td>
            ))}
          </tr>
        ))}
      </Grid>
      {found.length > PIECE && <p class="quiet">{t("statistics.more", { n: number(found.length - PIECE) })}</p>}
    </>
  );
}

function Domains(props: { span: Span; again: number }) {
  const domains = useDomains();
  const data = useData(`domains ${props.span} ${props.again}`, () => get<DomainCounts[]>("/statistics/domains" + query(props.span)));
  return (
    <section>
      <h2>{t("domains.title")}</h2>
      <p>{t("statistics.domains-text")}</p>
      <Loaded data={domains}>
        {(all) => <Loaded data={data}>{(counted) => <DomainTable rows={ranked(all, counted)} span={props.span} />}</Loaded>}
      </Loaded>
    </section>
  );
}

export function Statistics() {
  const asked = param("span");
  const span: Span = asked in spans ? (asked as Span) : "2d";
  const domain = param("domain");
  const [again, setAgain] = useState(0);
  return (
    <Page title={domain || t("nav.statistics")} actions={<Button onClick={() => setAgain(again + 1)}>{t("statistics.again")}</Button>}>
      {domain ? <p><Link to={`/statistics?span=${span}`}>{t("statistics.all")}</Link></p> : <p>{t("statistics.text")}</p>}
      <Choice
        label={t("statistics.span")}
        value={span}
        choices={(Object.keys(spans) as Span[]).map((s): [string, string] => [s, t(("statistics.span." + s) as Key)])}
        onChange={(value) => setParams({ span: value })}
      />
      {(domain || !isDelegate()) && <Figures span={span} domain={domain} again={again} />}
      {!domain && <Domains span={span} again={again} />}
    </Page>
  );
}
