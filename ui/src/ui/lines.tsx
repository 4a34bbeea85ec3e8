// A table of an account's or list's folder that is a list of texts: edited as text, one a line.
import { useEffect, useState } from "preact/hooks";
import { ApiError, get, put } from "../api";
import { t } from "../i18n";
import { route } from "../router";
import { mayWrite } from "../session";
import { TextArea } from "./fields";
import { Button, Loaded, notice, problem, useData } from "./parts";

type Lines = { version: string; lines: string[] };

const textOf = (lines: string[]) => lines.map((line) => line + "\n").join("");
const textLines = (text: string) => (text === "" ? [] : text.replace(/\t/g, "    ").replace(/\n$/, "").split("\n"));
const words = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

function LinesForm(props: { now: Lines; label: string; help: string; read: (text: string) => string[]; save: (lines: string[]) => void }) {
  const [text, setText] = useState("");
  useEffect(() => setText(textOf(props.now.lines)), [props.now]);
  const lines = props.read(text);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        props.save(lines);
      }}
    >
      <TextArea label={props.label} help={props.help} value={text} onInput={setText} rows={4} disabled={!mayWrite()} />
      {textOf(lines) !== textOf(props.now.lines) && mayWrite() && (
        <div class="actions">
          <Button type="submit" kind="primary">
            {t("app.save")}
          </Button>
        </div>
      )}
    </form>
  );
}

/** table: as the API names it. whole: blank lines count. */
export function LinesOf(props: { domain: string; name: string; table: string; label: string; help: string; whole?: boolean }) {
  const path = route("/users", props.domain, props.name, "lines", props.table);
  const data = useData(path, () => get<Lines>(path), true);
  const save = async (lines: string[]) => {
    try {
      await put(path, { lines, version: data.value?.version });
      notice("good", t("app.saved"));
    } catch (e) {
      const other = e instanceof ApiError && e.code === "changed";
      notice("bad", other ? t("vars.changed") : problem(e));
      if (!other) return;
    }
    data.again();
  };
  return (
    <Loaded data={data}>
      {(now) => <LinesForm now={now} label={props.label} help={props.help} read={props.whole ? textLines : words} save={save} />}
    </Loaded>
  );
}

/** Senders that the account or list refuses. */
export function RefusedSenders(props: { domain: string; name: string }) {
  return (
    <section class="card">
      <h2>{t("refused.title")}</h2>
      <LinesOf {...props} table="refuse" label={t("refused.patterns")} help={t("refused.help")} />
    </section>
  );
}
