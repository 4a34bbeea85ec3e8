// Who is over a limit, why, until when; whom the checks refused lately.
import { get, remove } from "../api";
import { number, t, time, type Key } from "../i18n";
import { mayWrite } from "../session";
import { Badge, Button, Grid, Link, Loaded, Page, notice, useData } from "../ui/parts";
import { tablePage } from "../ui/table";

type Held = { who: string; what: string; action: string; since: string; until: string; count: string; window: string; line: string };
type Refused = { client: string; count: number; last: string; gate: string };

const explain = (client: string) => "/explain?service=smtp&client=" + encodeURIComponent(client);

function Limits() {
  const data = useData("limits", () => get<Held[]>("/limits"), true);
  const release = async (who: string) => {
    await remove("/limits/" + encodeURIComponent(who));
    notice("good", t("blocked.released", { who }));
    data.again();
  };
  return (
    <Loaded data={data}>
      {(held) =>
        held.length === 0 ? (
          <p class="quiet">{t("blocked.nobody")}</p>
        ) : (
          <Grid
            label={t("blocked.limits")}
            head={[
              t("blocked.who"),
              t("blocked.what"),
              t("blocked.action"),
              t("blocked.since"),
              t("blocked.until"),
              t("app.actions"),
            ]}
          >
            {held.map((h) => (
              <tr key={h.who + h.what}>
                <td>{h.who}</td>
                <td>
                  {h.count === "0" ? (
                    <Link to={"/emergency?account=" + encodeURIComponent(h.who)}>{t("emergency.by-order")}</Link>
                  ) : (
                    <>
                      {t(("blocked.what." + h.what) as Key)}
                      <div class="quiet">
                        {t("blocked.limit", { count: h.count, window: h.window })}{" "}
                        <Link to={tablePage("limits.tab")}>{`limits.tab, ${t("explain.line", { n: h.line })}`}</Link>
                      </div>
                    </>
                  )}
                </td>
                <td>
                  <Badge kind={h.action === "delay" ? "warn" : "bad"}>{t(("blocked.action." + h.action) as Key)}</Badge>
                </td>
                <td>{time(Number(h.since))}</td>
                <td>{h.until === "0" ? t("blocked.for-ever") : time(Number(h.until))}</td>
                <td class="actions">
                  {mayWrite() && (
                    <Button onClick={() => release(h.who)} label={`${t("blocked.release")}: ${h.who}`}>
                      {t("blocked.release")}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </Grid>
        )
      }
    </Loaded>
  );
}

function Refusals() {
  const data = useData("refused", () => get<Refused[]>("/refused?days=7"), true);
  return (
    <Loaded data={data}>
      {(rows) =>
        rows.length === 0 ? (
          <p class="quiet">{t("blocked.none")}</p>
        ) : (
          <Grid
            label={t("blocked.refused")}
            head={[t("blocked.client"), t("blocked.count"), t("blocked.last"), t("blocked.gate"), t("app.actions")]}
          >
            {[...rows]
              .sort((a, b) => b.count - a.count)
              .slice(0, 200)
              .map((r) => (
                <tr key={r.client}>
                  <td>{r.client}</td>
                  <td class="number">{number(r.count)}</td>
                  <td>{r.last}</td>
                  <td>{r.gate}</td>
                  <td>
                    <Link to={explain(r.client)}>{t("blocked.why")}</Link>
                  </td>
                </tr>
              ))}
          </Grid>
        )
      }
    </Loaded>
  );
}

export function Blocked() {
  return (
    <Page title={t("nav.blocked")} up={[["/security", t("nav.access")]]}>
      <section>
        <h2>{t("blocked.limits")}</h2>
        <p>
          {t("blocked.limits-text")} <Link to={tablePage("limits.tab")}>{t("blocked.edit")}</Link>
        </p>
        <Limits />
      </section>
      <section>
        <h2>{t("blocked.refused")}</h2>
        <p>{t("blocked.refused-text")}</p>
        <Refusals />
      </section>
    </Page>
  );
}
