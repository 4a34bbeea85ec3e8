// Filters at their five points, in their order, and the files of programs that two of them name.
import { useState } from "preact/hooks";
import { get, patch, remove } from "../api";
import { t, type Key } from "../i18n";
import { go } from "../router";
import { mayWrite } from "../session";
import { editorOf, filterFiles, useFilterFiles } from "../ui/editors";
import { Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { tablePage, tableUrl, type Rows } from "../ui/table";
import { TableRows } from "../ui/tablerows";

const points = ["post-rcpt", "pre-data", "post-data", "in", "out"];

function Point({ name }: { name: string }) {
  const path = `filters.${name}.tab`;
  const url = tableUrl(path);
  const data = useData(url, () => get<Rows>(url + "?limit=1000"), true);
  const [adding, setAdding] = useState(false);
  return (
    <section class="card">
      <header class="page-head">
        <h2>{t(("filters.point." + name) as Key)}</h2>
        {mayWrite() && (
          <Button onClick={() => setAdding(true)} label={t("filters.add-at", { point: t(("filters.point." + name) as Key) })}>
            {t("filters.add")}
          </Button>
        )}
      </header>
      <p>{t(("filters.about." + name) as Key)}</p>
      <Loaded data={data}>
        {(now) => (
          <>
            <p class="quiet">
              <code>{path}</code>
            </p>
            <TableRows
              path={path}
              now={now}
              again={data.again}
              plain
              adding={adding}
              setAdding={setAdding}
              editor={editorOf(path)}
            />
          </>
        )}
      </Loaded>
    </section>
  );
}

/** A new file begins with its first program. */
function NewFile(props: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [program, setProgram] = useState("");
  const path = `filters/${name.replace(/\.tab$/, "")}.tab`;
  const make = async () => {
    const now = await get<Rows>(tableUrl(path));
    if (now.version !== "none") throw new Error(t("error.exists"));
    await patch(tableUrl(path), { version: now.version, changes: [{ op: "add", values: [program] }] });
    go(tablePage(path));
  };
  return (
    <FormDialog
      title={t("filters.new-file")}
      submit={t("app.add")}
      disabled={!/^[\w][\w.-]*$/.test(name)}
      onClose={props.onClose}
      onSubmit={make}
    >
      <TextField label={t("filters.file-name")} help={t("filters.file-name-help")} value={name} onInput={setName} required autofocus />
      <TextField label={t("filters.program")} help={t("filters.program-help")} value={program} onInput={setProgram} required />
    </FormDialog>
  );
}

function Files() {
  const files = useFilterFiles();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<string | null>(null);
  return (
    <section class="card">
      <header class="page-head">
        <h2>{t("filters.files")}</h2>
        {mayWrite() && <Button onClick={() => setAdding(true)}>{t("filters.new-file")}</Button>}
      </header>
      <p>{t("filters.files-text")}</p>
      <Loaded data={files}>
        {(paths) =>
          paths.length === 0 ? (
            <p class="quiet">{t("filters.none")}</p>
          ) : (
            <Grid label={filterFiles} head={[t("col.filter-file"), t("app.actions")]}>
              {paths.map((p) => (
                <tr key={p}>
                  <td>
                    <Link to={tablePage(p)}>{p}</Link>
                  </td>
                  <td class="actions">
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => setRemoving(p)} label={`${t("app.remove")}: ${p}`}>
                        {t("app.remove")}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </Grid>
          )
        }
      </Loaded>
      {adding && <NewFile onClose={() => setAdding(false)} />}
      {removing && (
        <FormDialog
          title={t("removed.ask", { what: removing })}
          text={t("filters.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove(tableUrl(removing));
            notice("good", t("removed.done", { what: removing }));
            files.again();
          }}
        />
      )}
    </section>
  );
}

export function Filters() {
  return (
    <Page title={t("filters.title")}>
      <p>{t("filters.intro")}</p>
      {mayWrite() && (
        <p>
          <Link to="/filter-test">{t("filter-test.title")}</Link>
        </p>
      )}
      {points.map((name) => (
        <Point key={name} name={name} />
      ))}
      <Files />
      <section class="card">
        <h2>{t("filters.others")}</h2>
        <ul>
          <li>
            <Link to="/aliases?kind=command">{t("filters.to-aliases")}</Link>
          </li>
          <li>
            <Link to="/domains">{t("filters.to-domains")}</Link>
          </li>
          <li>
            <Link to="/accounts">{t("filters.to-accounts")}</Link>
          </li>
        </ul>
      </section>
    </Page>
  );
}
