import { useState } from "preact/hooks";
import { ApiError, get, patch } from "../api";
import { either, t, type Key } from "../i18n";
import { messages } from "../messages";
import { mayWrite } from "../session";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";

type Table = { path: string; kinds: string; least: number; most: number; obeyed: boolean; en: string; ja: string };
type Line = { line: number; values: string[] };
type Rows = { version: string; table: Table; total: number; rows: Line[]; malformed: number[] };
type Change =
  | { op: "add"; values: string[] }
  | { op: "set"; line: number; old: string[]; values: string[] }
  | { op: "remove"; line: number; old: string[] }
  | { op: "move"; line: number; old: string[]; before: number };

const PIECE = 100;

const kindOf = (table: Table, i: number) => table.kinds[Math.min(i, table.kinds.length - 1)] ?? "T";

function columnName(table: Table, i: number): string {
  const key = "tables.kind." + kindOf(table, i);
  const repeated = i >= table.kinds.length || kindOf(table, i) === "T";
  return key in messages && !repeated ? t(key as Key) : t("tables.column", { n: i + 1 });
}

export function Tables() {
  const data = useData("tables", () => get<Table[]>("/tables"));
  return (
    <Page title={t("tables.title")}>
      <p>{t("tables.intro")}</p>
      <Loaded data={data}>
        {(tables) => (
          <ul class="cards">
            {tables
              .filter((x) => !x.path.includes("*") && x.path !== "server.tab" && x.path !== "webadmins.tab")
              .map((x) => (
                <li key={x.path}>
                  <Link to={"/tables/" + encodeURIComponent(x.path)} class="card">
                    <strong>{either(x)}</strong>
                    <code>{x.path}</code>
                    {!x.obeyed && <Badge kind="warn">{t("settings.later")}</Badge>}
                  </Link>
                </li>
              ))}
          </ul>
        )}
      </Loaded>
    </Page>
  );
}

function RowDialog(props: { table: Table; values: string[]; title: string; onClose: () => void; save: (values: string[]) => Promise<void> }) {
  const count = Math.max(props.values.length, props.table.kinds.length, props.table.least);
  const [values, setValues] = useState(Array.from({ length: count }, (_, i) => props.values[i] ?? ""));
  const submit = () => {
    let n = values.length;
    while (n > props.table.least && values[n - 1] === "") n--;
    return props.save(values.slice(0, n));
  };
  return (
    <FormDialog title={props.title} submit={t("app.save")} onClose={props.onClose} onSubmit={submit}>
      {values.map((value, i) => (
        <TextField
          key={i}
          label={columnName(props.table, i)}
          value={value}
          onInput={(v) => setValues(values.map((x, k) => (k === i ? v : x)))}
          required={i < props.table.least && kindOf(props.table, i) !== "M"}
          autofocus={i === 0}
        />
      ))}
      {(props.table.most === 0 || values.length < props.table.most) && (
        <Button kind="quiet" onClick={() => setValues([...values, ""])}>
          {t("app.add")}
        </Button>
      )}
    </FormDialog>
  );
}

export function TablePage(props: { path: string }) {
  const [offset, setOffset] = useState(0);
  const [search, setSearch] = useState("");
  const [editing, setEditing] = useState<Line | "new" | null>(null);
  const [removing, setRemoving] = useState<Line | null>(null);
  const url = `/tables/${props.path.split("/").map(encodeURIComponent).join("/")}`;
  const data = useData([url, offset, search].join(" "), () =>
    get<Rows>(`${url}?offset=${offset}&limit=${PIECE}&search=${encodeURIComponent(search)}`),
  );
  const change = async (now: Rows, one: Change) => {
    try {
      await patch(url, { version: now.version, changes: [one] });
    } catch (e) {
      if (e instanceof ApiError && e.code === "changed") {
        data.again();
        throw new Error(t("tables.changed"));
      }
      throw e;
    }
    notice("good", t("app.saved"));
    data.again();
  };
  return (
    <Page
      title={props.path}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setEditing("new")}>
            {t("tables.new-row")}
          </Button>
        )
      }
    >
      <input
        type="search"
        class="search"
        placeholder={t("app.search")}
        aria-label={t("app.search")}
        value={search}
        onInput={(e) => {
          setOffset(0);
          setSearch(e.currentTarget.value);
        }}
      />
      <Loaded data={data}>
        {(now) => {
          const columns = Math.max(now.table.kinds.length, ...now.rows.map((r) => r.values.length), 1);
          const plain = search === "";
          return (
            <>
              <p>{either(now.table)}</p>
              {now.malformed.length > 0 && (
                <p class="notice bad">{t("tables.malformed", { lines: now.malformed.join(", ") })}</p>
              )}
              {now.rows.length === 0 ? (
                <p class="quiet">{t("tables.none")}</p>
              ) : (
                <Grid
                  label={props.path}
                  head={[...Array.from({ length: columns }, (_, i) => columnName(now.table, i)), t("app.actions")]}
                >
                  {now.rows.map((r, at) => (
                    <tr key={r.line}>
                      {Array.from({ length: columns }, (_, i) => (
                        <td key={i}>{r.values[i] ?? ""}</td>
                      ))}
                      <td class="actions">
                        {mayWrite() && (
                          <>
                            <Button kind="quiet" onClick={() => setEditing(r)}>
                              {t("app.edit")}
                            </Button>
                            {plain && at > 0 && (
                              <Button
                                kind="quiet"
                                label={t("tables.up")}
                                onClick={() =>
                                  change(now, { op: "move", line: r.line, old: r.values, before: now.rows[at - 1]!.line })
                                }
                              >
                                ↑
                              </Button>
                            )}
                            {plain && at + 1 < now.rows.length && (
                              <Button
                                kind="quiet"
                                label={t("tables.down")}
                                onClick={() =>
                                  change(now, { op: "move", line: r.line, old: r.values, before: now.rows[at + 2]?.line ?? 0 })
                                }
                              >
                                ↓
                              </Button>
                            )}
                            <Button kind="danger" onClick={() => setRemoving(r)}>
                              {t("app.remove")}
                            </Button>
                          </>
                        )}
                      </td>
                    </tr>
                  ))}
                </Grid>
              )}
              {now.total > PIECE && (
                <div class="actions">
                  <Button disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PIECE))}>
                    {t("app.previous")}
                  </Button>
                  <span>
                    {t("app.rows", { from: offset + 1, to: offset + now.rows.length, total: now.total })}
                  </span>
                  <Button disabled={offset + PIECE >= now.total} onClick={() => setOffset(offset + PIECE)}>
                    {t("app.next")}
                  </Button>
                </div>
              )}
              {editing !== null && (
                <RowDialog
                  table={now.table}
                  values={editing === "new" ? [] : editing.values}
                  title={editing === "new" ? t("tables.new-row") : t("tables.edit-row")}
                  onClose={() => setEditing(null)}
                  save={(values) =>
                    change(
                      now,
                      editing === "new"
                        ? { op: "add", values }
                        : { op: "set", line: editing.line, old: editing.values, values },
                    )
                  }
                />
              )}
              {removing !== null && (
                <FormDialog
                  title={t("tables.remove-row")}
                  text={removing.values.join(" · ")}
                  submit={t("app.remove")}
                  danger
                  onClose={() => setRemoving(null)}
                  onSubmit={() => change(now, { op: "remove", line: removing.line, old: removing.values })}
                />
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
