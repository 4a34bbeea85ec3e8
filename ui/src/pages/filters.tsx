// Filters at their five points, in their order, with flags.
import { useState } from "preact/hooks";
import { get } from "../api";
import { either, t, type Key } from "../i18n";
import { mayWrite } from "../session";
import { Check, TextArea } from "../ui/fields";
import { Button, FormDialog, Loaded, Page, TextField, useData } from "../ui/parts";
import { tableUrl, type Rows } from "../ui/table";
import { TableRows, type EditorProps } from "../ui/tablerows";

const inSession = ["filters.post-rcpt.tab", "filters.pre-data.tab", "filters.post-data.tab"];
const points = [...inSession, "filters.in.tab", "filters.out.tab"];

/** "!aex,timeo=30" and the command behind it. */
function readLine(values: string[]): { aex: boolean; wlex: boolean; seconds: string; words: string[] } {
  const flagged = values[0]?.startsWith("!") ?? false;
  const flags = flagged
    ? values[0]!
        .slice(1)
        .split(/[,\s]+/)
        .map((f) => f.toLowerCase())
    : [];
  return {
    aex: flags.includes("aex"),
    wlex: flags.includes("wlex"),
    seconds: flags.find((f) => f.startsWith("timeo="))?.slice(6) ?? "",
    words: flagged ? values.slice(1) : values,
  };
}

/** A filter of the session: flags, and a command whose words stand one a line. */
function SessionEditor(props: EditorProps) {
  const was = readLine(props.values);
  const [aex, setAex] = useState(was.aex);
  const [wlex, setWlex] = useState(was.wlex);
  const [seconds, setSeconds] = useState(was.seconds);
  const [program, setProgram] = useState(was.words[0] ?? "");
  const [args, setArgs] = useState(was.words.slice(1).join("\n"));
  const submit = () => {
    const flags = [...(aex ? ["aex"] : []), ...(wlex ? ["wlex"] : []), ...(seconds ? ["timeo=" + seconds] : [])];
    const words = [program, ...args.split("\n").filter((a) => a !== "")];
    return props.save(flags.length > 0 ? ["!" + flags.join(","), ...words] : words);
  };
  return (
    <FormDialog title={props.title} submit={t("app.save")} onClose={props.onClose} onSubmit={submit}>
      <TextField
        label={t("filters.program")}
        help={t("filters.program-help")}
        value={program}
        onInput={setProgram}
        required
        autofocus
      />
      <TextArea label={t("filters.args")} help={t("filters.args-help")} value={args} onInput={setArgs} rows={4} />
      <Check label={t("filters.aex")} value={aex} onChange={setAex} />
      <Check label={t("filters.wlex")} value={wlex} onChange={setWlex} />
      <TextField
        label={t("filters.seconds")}
        help={t("filters.seconds-help")}
        type="number"
        value={seconds}
        onInput={setSeconds}
      />
    </FormDialog>
  );
}

function Point({ path }: { path: string }) {
  const url = tableUrl(path);
  const data = useData(url, () => get<Rows>(url + "?limit=1000"), true);
  const [adding, setAdding] = useState(false);
  const name = path.slice("filters.".length, -".tab".length);
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
              <code>{path}</code> {either(now.table)}
            </p>
            <TableRows
              path={path}
              now={now}
              again={data.again}
              plain
              adding={adding}
              setAdding={setAdding}
              editor={inSession.includes(path) ? SessionEditor : undefined}
            />
          </>
        )}
      </Loaded>
    </section>
  );
}

export function Filters() {
  return (
    <Page title={t("filters.title")}>
      <p>{t("filters.intro")}</p>
      {points.map((path) => (
        <Point key={path} path={path} />
      ))}
    </Page>
  );
}
