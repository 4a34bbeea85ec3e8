// Who changed what.
import { get } from "../api";
import { t, time } from "../i18n";
import { Button, Grid, Loaded, Page, useData } from "../ui/parts";
import { PIECE, Search, useSettled } from "../ui/pieces";
import { param, setParams } from "../router";

type FileChange = { file: string; removed: string[][]; added: string[][]; more: number };
type Row = { time: number; by: string; from: string; via: string; act: string; what: string[]; changes?: FileChange[] };

function Lines(props: { lines: string[][]; sign: string }) {
  return (
    <>
      {props.lines.map((line, i) => (
        <span key={i}>{`${props.sign} ${line.join(" · ")}\n`}</span>
      ))}
    </>
  );
}

function Changes(props: { changes: FileChange[] }) {
  return (
    <details>
      <summary>{props.changes.map((c) => c.file).join(", ")}</summary>
      {props.changes.map((c) => (
        <pre key={c.file} tabIndex={0} aria-label={c.file}>
          <Lines lines={c.removed} sign="−" />
          <Lines lines={c.added} sign="+" />
          {c.more > 0 && t("audit.more", { n: c.more })}
        </pre>
      ))}
    </details>
  );
}

export function Audit() {
  const search = param("search");
  const by = param("by");
  const offset = Number(param("offset")) || 0;
  const settled = useSettled(search);
  const url = `/audit?offset=${offset}&limit=${PIECE}&by=${encodeURIComponent(by)}&search=${encodeURIComponent(settled)}`;
  const data = useData(url, () => get<{ rows: Row[]; more: boolean }>(url), true);
  const pieces = {
    search,
    offset,
    setSearch: (text: string) => setParams({ search: text, offset: "" }),
    setOffset: (n: number) => setParams({ offset: n > 0 ? String(n) : "" }),
  };
  return (
    <Page title={t("nav.audit")}>
      <p>{t("audit.text")}</p>
      <Search pieces={pieces} label={t("audit.search")} />
      <Loaded data={data}>
        {(now) =>
          now.rows.length === 0 ? (
            <p class="quiet">{search ? t("app.no-match") : t("audit.none")}</p>
          ) : (
            <>
              <Grid label={t("nav.audit")} head={[t("audit.time"), t("audit.by"), t("audit.act"), t("audit.changes")]}>
                {now.rows.map((r, i) => (
                  <tr key={r.time + " " + i}>
                    <td>{time(r.time)}</td>
                    <td>
                      {r.by}
                      <br />
                      <span class="quiet">
                        {r.from} {r.via}
                      </span>
                    </td>
                    <td>
                      {r.act} <span class="quiet">{r.what.join(" ")}</span>
                    </td>
                    <td>{r.changes && r.changes.length > 0 && <Changes changes={r.changes} />}</td>
                  </tr>
                ))}
              </Grid>
              {(now.more || offset > 0) && (
                <div class="actions pager">
                  <Button disabled={offset === 0} onClick={() => pieces.setOffset(Math.max(0, offset - PIECE))}>
                    {t("audit.newer")}
                  </Button>
                  <Button disabled={!now.more} onClick={() => pieces.setOffset(offset + PIECE)}>
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
