// All tables, and the page of one.
import { useState } from "preact/hooks";
import { get } from "../api";
import { either, t } from "../i18n";
import { isDelegate, mayWrite } from "../session";
import { Button, Link, Loaded, Page, useData } from "../ui/parts";
import { Pager, PIECE, Search, usePieces } from "../ui/pieces";
import { editorOf } from "../ui/editors";
import { ExplainBeside } from "../ui/explain";
import { tablePage, tableUrl, type Line, type Rows, type Table } from "../ui/table";
import { TableRows } from "../ui/tablerows";
import { TrialChoice } from "../ui/trial";

export function TableCard({ table }: { table: Table }) {
  return (
    <Link to={tablePage(table.path)} class="card">
      <strong>{either(table)}</strong>
      <code>{table.path}</code>
    </Link>
  );
}

/** Those with pages and routes of their own. */
const own = ["server.tab", "webadmins.tab", "webtokens.tab"];

export const useTables = () => 
  useData("tables", () => (isDelegate() ? Promise.resolve([]) : get<Table[]>("/tables")));

export function Tables() {
  const data = useTables();
  return (
    <Page title={t("tables.title")}>
      <p>{t("tables.intro")}</p>
      <Loaded data={data}>
        {(tables) => (
          <ul class="cards">
            {tables
              .filter((x) => !x.path.includes("*") && !own.includes(x.path))
              .map((x) => (
                <li key={x.path}>
                  <TableCard table={x} />
                </li>
              ))}
          </ul>
        )}
      </Loaded>
    </Page>
  );
}

export function TablePage(props: { path: string }) {
  const pieces = usePieces<Line, Rows>(tableUrl(props.path));
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={props.path}
      up={[["/tables", t("nav.tables")]]}
      actions={
        mayWrite() && (
          <>
            <Link to={"/history?" + new URLSearchParams({ file: props.path })} class="button">
              {t("nav.history")}
            </Link>
            <Button kind="primary" onClick={() => setAdding(true)}>
              {t("tables.new-row")}
            </Button>
          </>
        )
      }
    >
      {pieces.data.value && <p class="sentence">{either(pieces.data.value.table)}</p>}
      <Search pieces={pieces} />
      <Loaded data={pieces.data}>
        {(now) => (
          <>
            <TrialChoice />
            <TableRows
              path={props.path}
              now={now}
              again={pieces.data.again}
              plain={pieces.search === "" && now.total <= PIECE}
              adding={adding}
              setAdding={setAdding}
              editor={editorOf(now.table.path)}
            />
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </>
        )}
      </Loaded>
      <ExplainBeside table={props.path} />
    </Page>
  );
}
