// The log files: what there is, and their records from the newest on.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { number, t, time, type Key } from "../i18n";
import { param, route, setParams } from "../router";
import { Choice, size } from "../ui/fields";
import { Button, Grid, Link, Loaded, Page, TextField, useData } from "../ui/parts";
import { useSettled } from "../ui/pieces";

type LogFile = { name: string; kind: string; size: number; modified: number };
type Row = { at: number; values: string[] };
type Piece = { rows: Row[]; size: number; next: number; unreadable: boolean };
const LIMIT = 200;

/** What the columns of XMail's log files are. */
const columns: Record<string, string> = {
  smtp: "server domain client time helo to-domain from to id status login size reverse",
  pop3: "server domain client time account password status extra",
  smail: "server id smtp-id from to medium parameter time reply",
  ctrl: "client account password time status",
  psync: "time domain account remote remote-account type status messages size failed failed-size",
  finger: "server domain client time query",
  lmail: "server file id time",
  filters: "from to local client time type info result code command",
  trace: "time role event",
};

export function Logs() {
  const data = useData("logs", () => get<LogFile[]>("/logs"), true);
  const kind = param("kind");
  return (
    <Page title={t("logs.title")}>
      <p>{t("logs.text")}</p>
      <Loaded data={data}>
        {(files) => {
          const kinds = [...new Set(files.map((f) => f.kind))].sort();
          const shown = files.filter((f) => !kind || f.kind === kind).sort((a, b) => b.modified - a.modified);
          return (
            <>
              <div class="filters">
                <Choice
                  label={t("logs.kind")}
                  value={kind}
                  choices={[["", t("logs.all")], ...kinds.map((k): [string, string] => [k, k])]}
                  onChange={(k) => setParams({ kind: k })}
                />
              </div>
              {shown.length === 0 ? (
                <p class="quiet">{t("logs.none")}</p>
              ) : (
                <Grid label={t("logs.title")} head={[t("logs.file"), t("queue.size"), t("logs.modified"), t("app.actions")]}>
                  {shown.map((f) => (
                    <tr key={f.name}>
                      <td>
                        <Link to={route("/logs", f.name)}>{f.name}</Link>
                      </td>
                      <td class="number">{size(f.size)}</td>
                      <td>{time(f.modified)}</td>
                      <td>
                        <a class="button" href={`/api/v1/logs/${encodeURIComponent(f.name)}/file`} download={f.name}>
                          {t("logs.save")}
                        </a>
                      </td>
                    </tr>
                  ))}
                </Grid>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Head(props: { kind: string; count: number }) {
  const known = (columns[props.kind] ?? "").split(" ").filter((c) => c !== "");
  return (
    <tr>
      {Array.from({ length: Math.max(props.count, 1) }, (_, i) => (
        <th key={i} scope="col">
          {known[i] ? t(("logs.column." + known[i]) as Key) : t("logs.value", { n: i + 1 })}
        </th>
      ))}
    </tr>
  );
}

export function LogPage(props: { name: string }) {
  const [search, from, until] = [param("search"), param("from"), param("until")];
  const words = useSettled(new URLSearchParams({ search, from, until, limit: String(LIMIT) }).toString());
  const url = `/logs/${encodeURIComponent(props.name)}?${words}`;
  const data = useData(url, () => get<Piece>(url), true);
  const [older, setOlder] = useState<Piece[]>([]);
  useEffect(() => setOlder([]), [url, data.value]);
  return (
    <Page
      title={props.name}
      up={[["/logs", t("logs.title")]]}
      actions={
        <a class="button" href={`/api/v1/logs/${encodeURIComponent(props.name)}/file`} download={props.name}>
          {t("logs.save")}
        </a>
      }
    >
      <div class="filters">
        <TextField label={t("app.search")} type="search" value={search} onInput={(v) => setParams({ search: v })} />
        <TextField label={t("logs.from")} help={t("logs.time-help")} value={from} onInput={(v) => setParams({ from: v })} />
        <TextField label={t("logs.until")} help={t("logs.time-help")} value={until} onInput={(v) => setParams({ until: v })} />
      </div>
      <Loaded data={data}>
        {(first) => {
          const pieces = [first, ...older];
          const rows = pieces.flatMap((p) => p.rows);
          const last = pieces[pieces.length - 1]!;
          const count = Math.max(0, ...rows.map((r) => r.values.length));
          return (
            <>
              {pieces.some((p) => p.unreadable) && <p class="notice bad">{t("logs.unreadable")}</p>}
              {rows.length === 0 ? (
                <p class="quiet">{t("app.no-match")}</p>
              ) : (
                <div class="grid" role="region" aria-label={props.name} tabIndex={0}>
                  <table>
                    <thead>
                      <Head kind={props.name.split("-")[0]!} count={count} />
                    </thead>
                    <tbody>
                      {rows.map((r) => (
                        <tr key={r.at}>
                          {r.values.map((v, i) => (
                            <td key={i}>{v}</td>
                          ))}
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
              {last.next > 0 && (
                <div class="actions pager">
                  <Button onClick={async () => setOlder([...older, await get<Piece>(`${url}&before=${last.next}`)])}>
                    {t("logs.older")}
                  </Button>
                  <span class="quiet">{t("logs.looked", { share: number(Math.round((1 - last.next / Math.max(first.size, 1)) * 100)) })}</span>
                </div>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
