// The history of tables: who changed what, the difference, taking it back.
import { get, post } from "../api";
import { number, t, time, type Key } from "../i18n";
import { param, route, setParams } from "../router";
import { Badge, Button, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { PIECE, useSettled } from "../ui/pieces";
import { trialTurn, type Change } from "../ui/trial";

type DiffLine = { sign: "+" | "-"; row: boolean; values: string[] };
type FileDiff = { file: string; known: boolean; hunks: { line: number; lines: DiffLine[] }[] };
type Details = Change & { changes: FileDiff[]; more: number };

const page = (id: number) => route("/history", String(id));

function Who({ change }: { change: Change }) {
  return (
    <>
      {change.by || t(("history.via." + change.via) as Key)}
      <br />
      <span class="quiet">
        {change.from} {change.by && t(("history.via." + change.via) as Key)}
      </span>
    </>
  );
}

function State({ change }: { change: Change }) {
  return (
    <>
      {change.undone > 0 && (
        <Badge>
          <Link to={page(change.undone)}>{t("history.undone", { id: change.undone })}</Link>
        </Badge>
      )}
      {change.undoes > 0 && (
        <Badge>
          <Link to={page(change.undoes)}>{t("history.undoes", { id: change.undoes })}</Link>
        </Badge>
      )}
      {change.until > 0 && <Badge kind="warn">{t("history.until", { time: time(change.until) })}</Badge>}
    </>
  );
}

export function History() {
  const [file, by, before] = [param("file"), param("by"), param("before")];
  const words = useSettled(new URLSearchParams({ file, by, before, limit: String(PIECE) }).toString());
  const url = "/history?" + words;
  const data = useData(url + trialTurn.value, () => get<{ rows: Change[]; more: boolean }>(url), true);
  return (
    <Page title={t("history.title")}>
      <p>{t("history.text")}</p>
      <div class="filters">
        <TextField
          label={t("history.file")}
          type="search"
          value={file}
          onInput={(v) => setParams({ file: v, before: "" })}
        />
        <TextField label={t("history.by")} type="search" value={by} onInput={(v) => setParams({ by: v, before: "" })} />
      </div>
      <Loaded data={data}>
        {(now) =>
          now.rows.length === 0 ? (
            <p class="quiet">{file || by ? t("app.no-match") : t("history.none")}</p>
          ) : (
            <>
              <Grid
                label={t("history.title")}
                head={[t("history.number"), t("history.time"), t("history.by"), t("history.files"), t("history.state")]}
              >
                {now.rows.map((r) => (
                  <tr key={r.id}>
                    <td>
                      <Link to={page(r.id)}>{t("history.change", { id: r.id })}</Link>
                    </td>
                    <td>{time(r.time)}</td>
                    <td>
                      <Who change={r} />
                    </td>
                    <td>
                      {r.files.join(", ")}
                      {r.file_count > r.files.length && " …"}
                    </td>
                    <td>
                      <State change={r} />
                    </td>
                  </tr>
                ))}
              </Grid>
              {(now.more || before) && (
                <div class="actions pager">
                  <Button disabled={!before} onClick={() => setParams({ before: "" })}>
                    {t("history.newest")}
                  </Button>
                  <Button
                    disabled={!now.more}
                    onClick={() => setParams({ before: String(now.rows[now.rows.length - 1]!.id) })}
                  >
                    {t("audit.older")}
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

function Diff({ diff }: { diff: FileDiff }) {
  if (!diff.known) return <p class="notice">{t("history.unknown")}</p>;
  return (
    <pre tabIndex={0} aria-label={diff.file} class="diff">
      {diff.hunks.map((h, i) => (
        <span key={i}>
          <span class="quiet">{(h.line > 0 ? t("history.line", { n: h.line }) : t("history.at-end")) + "\n"}</span>
          {h.lines.map((line, k) =>
            line.sign === "+" ? (
              <ins key={k}>{"+ " + line.values.join(line.row ? " · " : " ") + "\n"}</ins>
            ) : (
              <del key={k}>{"− " + line.values.join(line.row ? " · " : " ") + "\n"}</del>
            ),
          )}
        </span>
      ))}
    </pre>
  );
}

export function HistoryPage(props: { id: string }) {
  const url = "/history/" + encodeURIComponent(props.id);
  const data = useData(url + trialTurn.value, () => get<Details>(url), true);
  const order = async (word: "undo" | "confirm") => {
    await post(url, { order: word });
    notice("good", t(word === "undo" ? "history.was-undone" : "trial.confirmed"));
    trialTurn.value++;
  };
  return (
    <Page title={t("history.change", { id: props.id })} up={[["/history", t("history.title")]]}>
      <Loaded data={data}>
        {(c) => (
          <>
            <dl class="facts-list">
              <dt>{t("history.time")}</dt>
              <dd>{time(c.time)}</dd>
              <dt>{t("history.by")}</dt>
              <dd>
                <Who change={c} />
              </dd>
              {c.act && (
                <>
                  <dt>{t("history.act")}</dt>
                  <dd>
                    {c.act} {c.what}
                  </dd>
                </>
              )}
            </dl>
            <p>
              <State change={c} />
            </p>
            <div class="actions">
              {c.undone === 0 && <Button onClick={() => order("undo")}>{t("history.undo")}</Button>}
              {c.until > 0 && (
                <Button kind="primary" onClick={() => order("confirm")}>
                  {t("trial.confirm")}
                </Button>
              )}
            </div>
            {c.changes.map((diff, i) => (
              <section key={i} class="card">
                <h2>{diff.file}</h2>
                <Diff diff={diff} />
              </section>
            ))}
            {c.more > 0 && <p class="quiet">{t("audit.more", { n: number(c.more) })}</p>}
          </>
        )}
      </Loaded>
    </Page>
  );
}
