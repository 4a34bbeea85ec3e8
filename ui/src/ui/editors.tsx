// Rows that mean more than their columns: programs of filters, commands of processing, whom filters are for.
import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import { get } from "../api";
import { t, type Key } from "../i18n";
import { Check, Choice, TextArea } from "./fields";
import { FormDialog, TextField, useData } from "./parts";
import type { EditorProps } from "./tablerows";

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

/* --- programs of filters --- */

const kinds = ["program", "persist", "milter", "http"] as const;
type Kind = (typeof kinds)[number];
type Program = { kind: Kind; processes: string; aex: boolean; wlex: boolean; seconds: string; words: string[] };

/** "!aex,timeo=30,persist=2" and the command behind it. */
function readProgram(values: string[]): Program {
  const flagged = values[0]?.startsWith("!") ?? false;
  const flags = flagged ? values[0]!.slice(1).split(",").map((f) => f.trim().toLowerCase()) : [];
  const valueOf = (name: string) => flags.find((f) => f.startsWith(name + "="))?.slice(name.length + 1) ?? "";
  const stays = flags.some((f) => f === "persist" || f.startsWith("persist="));
  return {
    kind: stays ? "persist" : flags.includes("milter") ? "milter" : flags.includes("http") ? "http" : "program",
    processes: valueOf("persist"),
    aex: flags.includes("aex"),
    wlex: flags.includes("wlex"),
    seconds: valueOf("timeo"),
    words: flagged ? values.slice(1) : values,
  };
}

function printProgram(p: Program): string[] {
  const flags = [
    ...(p.aex ? ["aex"] : []),
    ...(p.wlex ? ["wlex"] : []),
    ...(p.seconds ? ["timeo=" + p.seconds] : []),
    ...(p.kind === "persist" ? [p.processes ? "persist=" + p.processes : "persist"] : []),
    ...(p.kind === "milter" || p.kind === "http" ? [p.kind] : []),
  ];
  return flags.length > 0 ? ["!" + flags.join(","), ...p.words] : p.words;
}

/** A program with its flags; wlex only in the session. */
function ProgramForm(props: EditorProps & { session: boolean }) {
  const [p, setP] = useState(() => readProgram(props.values));
  const [args, setArgs] = useState(p.words.slice(1).join("\n"));
  const set = (some: Partial<Program>) => setP({ ...p, ...some });
  const first = (word: string) => set({ words: [word, ...p.words.slice(1)] });
  const submit = () => {
    const rest = p.kind === "milter" ? [] : lines(args);
    return props.save(printProgram({ ...p, words: [p.words[0] ?? "", ...rest] }));
  };
  const withPath = p.kind === "program" || p.kind === "persist";
  return (
    <FormDialog title={props.title} submit={t("app.save")} onClose={props.onClose} onSubmit={submit}>
      <Choice
        label={t("filters.kind")}
        value={p.kind}
        choices={kinds.map((k) => [k, t(("filters.kind." + k) as Key)])}
        onChange={(kind) => set({ kind: kind as Kind })}
      />
      <TextField
        label={t(withPath ? "filters.program" : p.kind === "milter" ? "filters.socket" : "filters.url")}
        help={t(withPath ? "filters.program-help" : p.kind === "milter" ? "filters.socket-help" : "filters.url-help")}
        value={p.words[0] ?? ""}
        onInput={first}
        required
        autofocus
      />
      {withPath && <TextArea label={t("filters.args")} help={t("filters.args-help")} value={args} onInput={setArgs} />}
      {p.kind === "http" && (
        <TextField label={t("filters.secret")} help={t("filters.secret-help")} value={args} onInput={setArgs} required />
      )}
      {p.kind === "persist" && (
        <TextField
          label={t("filters.processes")}
          help={t("filters.processes-help")}
          type="number"
          value={p.processes}
          onInput={(processes) => set({ processes })}
        />
      )}
      <Check label={t("filters.aex")} value={p.aex} onChange={(aex) => set({ aex })} />
      {props.session && <Check label={t("filters.wlex")} value={p.wlex} onChange={(wlex) => set({ wlex })} />}
      <TextField
        label={t("filters.seconds")}
        help={t("filters.seconds-help")}
        type="number"
        value={p.seconds}
        onInput={(seconds) => set({ seconds })}
      />
    </FormDialog>
  );
}
const SessionProgram = (props: EditorProps) => <ProgramForm {...props} session />;
const FileProgram = (props: EditorProps) => <ProgramForm {...props} session={false} />;

/* --- whom filters are for --- */

export const filterFiles = "filters/*.tab";
export const useFilterFiles = () =>
  useData(filterFiles, () => get<string[]>("/table-files?of=" + encodeURIComponent(filterFiles)), true);

/** Sender, recipient, networks, and the file of programs. */
function Selection(props: EditorProps) {
  const files = useFilterFiles();
  const [values, setValues] = useState(
    props.values.length > 0 ? props.values : ["*", "*", "0.0.0.0/0", "0.0.0.0/0", ""],
  );
  const set = (i: number) => (v: string) => setValues(values.map((x, k) => (k === i ? v : x)));
  const names = ["sender", "recipient", "remote", "local"] as const;
  const known = (files.value ?? []).map((f) => f.slice("filters/".length));
  const all = values[4] && !known.includes(values[4]) ? [values[4], ...known] : known;
  return (
    <FormDialog
      title={props.title}
      submit={t("app.save")}
      disabled={!values[4]}
      onClose={props.onClose}
      onSubmit={() => props.save(values)}
    >
      {names.map((name, i) => (
        <TextField
          key={name}
          label={t(("col." + name) as Key)}
          help={t(("col." + name + "-help") as Key)}
          value={values[i] ?? ""}
          onInput={set(i)}
          required
        />
      ))}
      <Choice
        label={t("col.filter-file")}
        help={t(all.length === 0 ? "filters.no-files" : "col.filter-file-help")}
        value={values[4] ?? ""}
        choices={[["", t("filters.choose")], ...all.map((f): [string, string] => [f, f])]}
        onChange={set(4)}
      />
    </FormDialog>
  );
}

/* --- commands of processing --- */

const commands = ["mailbox", "redirect", "lredirect", "smtprelay", "external", "filter", "smtp"];
const ofDomains = commands.filter((c) => c !== "mailbox");
const ofAccounts = commands.filter((c) => c !== "smtp");

/** One command with its words. */
function CommandForm(props: EditorProps & { commands: string[] }) {
  const [command, setCommand] = useState(props.values[0]?.toLowerCase() ?? props.commands[0]!);
  const runs = command === "external" || command === "filter";
  const [priority, setPriority] = useState(runs ? (props.values[1] ?? "0") : "0");
  const [wait, setWait] = useState(runs ? (props.values[2] ?? "60") : "60");
  const [program, setProgram] = useState(runs ? (props.values[3] ?? "") : "");
  const [words, setWords] = useState(props.values.slice(runs ? 4 : 1).join("\n"));
  const bare = command === "mailbox" || command === "smtp";
  const choices = props.commands.includes(command) ? props.commands : [command, ...props.commands];
  const submit = () => {
    const rest = bare ? [] : lines(words);
    return props.save(runs ? [command, priority, wait, program, ...rest] : [command, ...rest]);
  };
  return (
    <FormDialog title={props.title} submit={t("app.save")} onClose={props.onClose} onSubmit={submit}>
      <Choice
        label={t("aliases.command")}
        value={command}
        choices={choices.map((c) => [c, commands.includes(c) ? t(("process." + c) as Key) : c])}
        onChange={setCommand}
      />
      {runs && (
        <>
          <TextField
            label={t("filters.program")}
            help={t("filters.program-help")}
            value={program}
            onInput={setProgram}
            required
          />
          <TextArea label={t("filters.args")} help={t("process.args-help")} value={words} onInput={setWords} />
          <Choice
            label={t("process.priority")}
            value={priority}
            choices={["-1", "0", "1"].map((p) => [p, t(("process.priority." + p) as Key)])}
            onChange={setPriority}
          />
          <TextField label={t("process.wait")} help={t("process.wait-help")} type="number" value={wait} onInput={setWait} />
        </>
      )}
      {!runs && !bare && (
        <TextArea label={t("process.targets")} help={t(("process.targets." + command) as Key)} value={words} onInput={setWords} required />
      )}
    </FormDialog>
  );
}
const DomainCommand = (props: EditorProps) => <CommandForm {...props} commands={ofDomains} />;
const AccountCommand = (props: EditorProps) => <CommandForm {...props} commands={ofAccounts} />;
const AnyCommand = (props: EditorProps) => <CommandForm {...props} commands={commands} />;

const editors: Record<string, ComponentType<EditorProps>> = {
  "filters.post-rcpt.tab": SessionProgram,
  "filters.pre-data.tab": SessionProgram,
  "filters.post-data.tab": SessionProgram,
  "filters.in.tab": Selection,
  "filters.out.tab": Selection,
  [filterFiles]: FileProgram,
  "domains/*/mailproc.tab": AnyCommand,
  "domains/*/*/mailproc.tab": AccountCommand,
  "custdomains/*.tab": DomainCommand,
  "cmdaliases/*/*.tab": DomainCommand,
};

/** The editor of a table's rows, by its row's path; undefined: by columns. */
export const editorOf = (path: string): ComponentType<EditorProps> | undefined => editors[path];
