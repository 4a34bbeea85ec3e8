// The rows of a table with what can be done to them: add, change, move, remove with undo.
import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import { ApiError, get, patch } from "../api";
import { t } from "../i18n";
import { mayWrite } from "../session";
import { columnHelp, columnName, kindOf } from "./columns";
import { Choice, type Choices } from "./fields";
import { Button, FormDialog, Grid, TextField, notice } from "./parts";
import { tried } from "./trial";
import { tableUrl, type Change, type Line, type Rows, type Table } from "./table";

export type EditorProps = {
  table: Table;
  values: string[];
  title: string;
  onClose: () => void;
  save: (values: string[]) => Promise<unknown>;
};

function choices(kind: string): Choices | null {
  if (kind === "V")
    return [
      ["ALLOW", t("tables.allow")],
      ["DENY", t("tables.deny")],
    ];
  if (kind === "R") return ["RW", "RA", "R"].map((r) => [r, t(("lists.right." + r) as "lists.right.R")]);
  return null;
}

/** A row by its columns. */
export function RowEditor(props: EditorProps) {
  const { table } = props;
  const count = Math.max(props.values.length, table.kinds.length, table.least);
  const first = (i: number) => props.values[i] ?? choices(kindOf(table, i))?.[0]?.[0] ?? "";
  const [values, setValues] = useState(Array.from({ length: count }, (_, i) => first(i)));
  const set = (i: number) => (v: string) => setValues(values.map((x, k) => (k === i ? v : x)));
  const submit = () => {
    let n = values.length;
    while (n > table.least && values[n - 1] === "") n--;
    return props.save(values.slice(0, n));
  };
  return (
    <FormDialog title={props.title} submit={t("app.save")} onClose={props.onClose} onSubmit={submit}>
      {values.map((value, i) => {
        const list = choices(kindOf(table, i));
        const common = { label: columnName(table, i), help: columnHelp(table, i), value };
        return list ? (
          <Choice key={i} {...common} choices={list} onChange={set(i)} />
        ) : (
          <TextField
            key={i}
            {...common}
            onInput={set(i)}
            required={i < table.least && kindOf(table, i) !== "M" && kindOf(table, i) !== "T"}
            autofocus={i === 0}
          />
        );
      })}
      {(table.most === 0 || values.length < table.most) && (
        <Button kind="quiet" onClick={() => setValues([...values, ""])}>
          {t("tables.more-values")}
        </Button>
      )}
    </FormDialog>
  );
}

/** plain: all rows are there in their order, so that they can be moved. */
export function TableRows(props: {
  path: string;
  now: Rows;
  again: () => void;
  plain: boolean;
  adding: boolean;
  setAdding: (on: boolean) => void;
  editor?: ComponentType<EditorProps>;
}) {
  const { now, again } = props;
  const Editor = props.editor ?? RowEditor;
  const [editing, setEditing] = useState<Line | null>(null);
  const url = tableUrl(props.path);
  const columns = Math.max(now.table.kinds.length, ...now.rows.map((r) => r.values.length), 1);
  const change = async (one: Change, version = now.version) => {
    try {
      await patch(url, { version, changes: [one], ...tried() });
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== "changed") throw e;
      again();
      throw new Error(t("tables.changed"));
    }
    again();
  };
  const saved = async (one: Change) => {
    await change(one);
    notice("good", t("app.saved"));
  };
  /* Back at the end, then to its place before the row that followed it. */
  const removeRow = async (r: Line, next: Line | undefined) => {
    await change({ op: "remove", line: r.line, old: r.values });
    const undo = async () => {
      const all = await get<Rows>(url + "?limit=1000");
      await patch(url, { version: all.version, changes: [{ op: "add", values: r.values }] });
      const after = await get<Rows>(url + "?limit=1000");
      const added = after.rows[after.rows.length - 1];
      const before = next && after.rows.find((x) => x.values.join("\t") === next.values.join("\t"));
      if (props.plain && added && before && after.total === after.rows.length)
        await change({ op: "move", line: added.line, old: added.values, before: before.line }, after.version);
      else again();
    };
    const secret = r.values.includes("********");
    notice("good", t("tables.removed"), secret ? undefined : { name: t("removed.undo"), run: undo });
  };
  const move = (r: Line, before: number, name: string, sign: string) => (
    <Button kind="quiet" label={name} onClick={() => change({ op: "move", line: r.line, old: r.values, before })}>
      {sign}
    </Button>
  );
  return (
    <>
      {now.malformed.length > 0 && <p class="notice bad">{t("tables.malformed", { lines: now.malformed.join(", ") })}</p>}
      {now.rows.length === 0 ? (
        <p class="quiet">{t("tables.none")}</p>
      ) : (
        <Grid
          label={props.path}
          head={[...Array.from({ length: columns }, (_, i) => columnName(now.table, i)), t("app.actions")]}
        >
          {now.rows.map((r, at) => (
            <tr key={r.line + r.values.join("\t")}>
              {Array.from({ length: columns }, (_, i) => (
                <td key={i}>{r.values[i] ?? ""}</td>
              ))}
              <td class="actions">
                {mayWrite() && (
                  <>
                    <Button kind="quiet" onClick={() => setEditing(r)}>
                      {t("app.edit")}
                    </Button>
                    {props.plain && at > 0 && move(r, now.rows[at - 1]!.line, t("tables.up"), "↑")}
                    {props.plain && at + 1 < now.rows.length && move(r, now.rows[at + 2]?.line ?? 0, t("tables.down"), "↓")}
                    <Button kind="danger" onClick={() => removeRow(r, now.rows[at + 1])}>
                      {t("app.remove")}
                    </Button>
                  </>
                )}
              </td>
            </tr>
          ))}
        </Grid>
      )}
      {props.adding && (
        <Editor
          table={now.table}
          values={[]}
          title={t("tables.new-row")}
          onClose={() => props.setAdding(false)}
          save={(values) => saved({ op: "add", values })}
        />
      )}
      {editing !== null && (
        <Editor
          table={now.table}
          values={editing.values}
          title={t("tables.edit-row")}
          onClose={() => setEditing(null)}
          save={(values) => saved({ op: "set", line: editing.line, old: editing.values, values })}
        />
      )}
    </>
  );
}
