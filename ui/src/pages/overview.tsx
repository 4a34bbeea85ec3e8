import { useEffect } from "preact/hooks";
import { get } from "../api";
import { day, number, t, time, type Key } from "../i18n";
import { messages } from "../messages";
import { mayWrite } from "../session";
import { ReloadButton, RestartButton } from "../ui/restart";
import { Badge, Grid, Link, Loaded, Page, useData } from "../ui/parts";

type Role = { name: string; state: string; restarts: number; sessions: number; sealed: string };
type Labelled = { value: number; [label: string]: string | number };
export type Status = {
  version: string;
  since: number;
  roles: Role[];
  listening: { service: string; address: string }[];
  domains: number;
  accounts: number;
  aliases: number;
  problems: number;
  certificate_expires: number;
  metrics: { queue_entries: Labelled[] };
};

function Figure(props: { name: string; value: string; to: string; warn?: boolean }) {
  return (
    <div class={"figure" + (props.warn ? " warn" : "")}>
      <dt>{props.name}</dt>
      <dd>
        <Link to={props.to}>{props.value}</Link>
      </dd>
    </div>
  );
}

/** The text of a key that ends in what the server says; else as it says. */
function wordOf(key: string, else_: string): string {
  return key in messages ? t(key as Key) : else_;
}

function Figures({ s }: { s: Status }) {
  const waiting = s.metrics.queue_entries.find((q) => q.state === "waiting")?.value ?? 0;
  const ends = s.certificate_expires;
  const soon = ends === 0 || ends * 1000 - Date.now() < 14 * 86400000;
  return (
    <dl class="figures">
      <Figure name={t("overview.accounts")} value={number(s.accounts)} to="/accounts" />
      <Figure name={t("overview.domains")} value={number(s.domains)} to="/domains" />
      <Figure name={t("overview.aliases")} value={number(s.aliases)} to="/aliases" />
      <Figure name={t("overview.queue")} value={number(waiting)} to="/queue" />
      <Figure name={t("overview.problems")} value={number(s.problems)} to="/warnings" warn={s.problems > 0} />
      <Figure
        name={t("overview.certificate")}
        value={ends === 0 ? t("overview.no-certificate") : day(ends)}
        to="/tls"
        warn={soon}
      />
    </dl>
  );
}

export function Overview() {
  const data = useData("status", () => get<Status>("/status"));
  const warnings = useData("warnings", () => get<unknown[]>("/warnings")).value?.length ?? 0;
  useEffect(() => {
    const timer = setInterval(data.again, 10000);
    return () => clearInterval(timer);
  }, []);
  return (
    <Page
      title={t("overview.title")}
      actions={
        mayWrite() && (
          <>
            <ReloadButton />
            <RestartButton />
          </>
        )
      }
    >
      <Loaded data={data}>
        {(s) => {
          const down = s.roles.filter((r) => r.state !== "running").map((r) => r.name);
          return (
            <>
              <p class={"notice " + (down.length === 0 ? "good" : "bad")} role="status">
                {down.length === 0 ? t("overview.well") : t("overview.ill", { roles: down.join(", ") })}
              </p>
              {s.accounts === 0 && (
                <p class="notice warn">
                  {t("overview.begin")} <Link to="/setup">{t("nav.setup")}</Link>
                </p>
              )}
              {warnings > 0 && (
                <p class="notice warn">
                  {t("overview.warnings", { n: number(warnings) })} <Link to="/warnings">{t("nav.warnings")}</Link>
                </p>
              )}
              <Figures s={s} />
              <h2>{t("overview.roles")}</h2>
              <Grid
                label={t("overview.roles")}
                head={[
                  t("overview.role"),
                  t("overview.state"),
                  t("overview.sessions"),
                  t("overview.restarts"),
                  t("overview.sealed"),
                ]}
              >
                {s.roles.map((r) => (
                  <tr key={r.name}>
                    <td>
                      {r.name}
                      <div class="quiet">{wordOf("overview.does." + r.name, "")}</div>
                    </td>
                    <td>
                      <Badge kind={r.state === "running" ? "good" : "bad"}>{wordOf("overview.state." + r.state, r.state)}</Badge>
                    </td>
                    <td>{number(r.sessions)}</td>
                    <td>{number(r.restarts)}</td>
                    <td>{r.sealed}</td>
                  </tr>
                ))}
              </Grid>
              <h2>{t("overview.listening")}</h2>
              <Grid label={t("overview.listening")} head={[t("overview.service"), t("overview.address")]}>
                {s.listening.map((l) => (
                  <tr key={l.service + l.address}>
                    <td>{l.service}</td>
                    <td>{l.address}</td>
                  </tr>
                ))}
              </Grid>
              <p class="quiet">{t("overview.version", { version: s.version, since: time(s.since) })}</p>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
