// Aliases of four kinds: of accounts, of domains, of outside addresses, and those that run commands.
import { useState } from "preact/hooks";
import { get, patch, post, remove } from "../api";
import { number, t, type Key } from "../i18n";
import { param, route, setParams } from "../router";
import { isDelegate, mayWrite } from "../session";
import { Choice } from "../ui/fields";
import { Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { Pager, Rows, Search, useDomains, usePieces, type DomainRow } from "../ui/pieces";
import { tablePage, tableUrl } from "../ui/table";

type Row = Record<string, string>;
type Field = { name: string; label: Key; help?: Key; domain?: boolean };
type Kind = {
  key: "account" | "domain" | "outside";
  url: string;
  head: Key[];
  cells: (r: Row) => string[];
  fields: Field[];
  one: (r: Row) => string;
  body: (r: Row) => Row;
};
const outside = (r: Row) => `${r.remote_name}@${r.remote_domain}`;
const inside = (r: Row) => `${r.name}@${r.domain}`;

const kinds: Kind[] = [
  {
    key: "account",
    url: "/aliases",
    head: ["aliases.alias", "aliases.target"],
    cells: (r) => [`${r.alias}@${r.domain}`, r.target!],
    fields: [
      { name: "alias", label: "aliases.name", help: "aliases.name-help" },
      { name: "domain", label: "domains.name", domain: true },
      { name: "target", label: "aliases.target", help: "aliases.target-help" },
    ],
    one: (r) => route("/aliases", r.domain!, r.alias!),
    body: (r) => r,
  },
  {
    key: "domain",
    url: "/alias-domains",
    head: ["aliases.other-domain", "aliases.real-domain"],
    cells: (r) => [r.alias!, r.domain!],
    fields: [
      { name: "alias", label: "aliases.other-domain", help: "aliases.other-domain-help" },
      { name: "domain", label: "aliases.real-domain", domain: true },
    ],
    one: (r) => route("/alias-domains", r.alias!),
    body: (r) => r,
  },
  {
    key: "outside",
    url: "/external-aliases",
    head: ["aliases.outside", "aliases.account"],
    cells: (r) => [outside(r), inside(r)],
    fields: [
      { name: "remote", label: "aliases.outside", help: "aliases.outside-help" },
      { name: "address", label: "aliases.account", help: "aliases.account-help" },
    ],
    one: (r) => route("/external-aliases", outside(r)),
    body: (r) => ("remote" in r ? r : { remote: outside(r), address: inside(r) }),
  },
];

function Add(props: { kind: Kind; domains: DomainRow[]; onClose: () => void; done: () => void }) {
  const [row, setRow] = useState<Row>({ domain: props.domains[0]?.domain ?? "" });
  const set = (name: string) => (value: string) => setRow({ ...row, [name]: value });
  return (
    <FormDialog
      title={t(("aliases.add." + props.kind.key) as Key)}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post(props.kind.url, Object.fromEntries(props.kind.fields.map((f) => [f.name, row[f.name] ?? ""])));
        notice("good", t("app.saved"));
        props.done();
      }}
    >
      {props.kind.fields.map((f, i) =>
        f.domain ? (
          <Choice
            key={f.name}
            label={t(f.label)}
            value={row[f.name] ?? ""}
            choices={props.domains.map((d) => [d.domain, d.domain])}
            onChange={set(f.name)}
          />
        ) : (
          <TextField
            key={f.name}
            label={t(f.label)}
            help={f.help && t(f.help)}
            value={row[f.name] ?? ""}
            onInput={set(f.name)}
            required
            autofocus={i === 0}
          />
        ),
      )}
    </FormDialog>
  );
}

function Simple({ kind }: { kind: Kind }) {
  const domains = useDomains();
  const pieces = usePieces<Row>(kind.url);
  const [adding, setAdding] = useState(false);
  const again = pieces.data.again;
  const removeRow = async (r: Row) => {
    await remove(kind.one(r));
    again();
    const undo = async () => {
      await post(kind.url, kind.body(r));
      again();
    };
    notice("good", t("removed.done", { what: kind.cells(r)[0]! }), { name: t("removed.undo"), run: undo });
  };
  return (
    <>
      <p>{t(("aliases.about." + kind.key) as Key)}</p>
      <div class="filters">
        <Search pieces={pieces} />
        {mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)} disabled={!domains.value?.length}>
            {t(("aliases.add." + kind.key) as Key)}
          </Button>
        )}
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <Rows pieces={pieces} count={now.rows.length} none={t("aliases.none")}>
            <p class="quiet" role="status">
              {t("app.count", { n: number(now.total) })}
            </p>
            <Grid label={t("aliases.title")} head={[...kind.head.map((k) => t(k)), t("app.actions")]}>
              {now.rows.map((r) => (
                <tr key={kind.cells(r).join(" ")}>
                  {kind.cells(r).map((cell, i) => (
                    <td key={i}>{cell}</td>
                  ))}
                  <td>
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => removeRow(r)}>
                        {t("app.remove")}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </Grid>
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </Rows>
        )}
      </Loaded>
      {adding && domains.value && <Add kind={kind} domains={domains.value} onClose={() => setAdding(false)} done={again} />}
    </>
  );
}

/* --- those that run commands: a file each --- */

const commandTables = ["cmdaliases/*/*.tab", "custdomains/*.tab"] as const;
type CommandTable = (typeof commandTables)[number];

/** "cmdaliases/example.org/robot.tab" as robot@example.org; "custdomains/.example.org.tab" as .example.org */
function commandName(path: string): string {
  const parts = path.replace(/\.tab$/, "").split("/");
  return parts.length === 3 ? `${parts[2]}@${parts[1]}` : parts[1]!;
}

function AddCommand(props: { of: CommandTable; domains: DomainRow[]; onClose: () => void; done: () => void }) {
  const alias = props.of === "cmdaliases/*/*.tab";
  const [name, setName] = useState("");
  const [domain, setDomain] = useState(props.domains[0]?.domain ?? "");
  const [command, setCommand] = useState("redirect");
  const [words, setWords] = useState("");
  const path = alias ? `cmdaliases/${domain}/${name}.tab` : `custdomains/${name}.tab`;
  return (
    <FormDialog
      title={t(alias ? "aliases.add.command" : "aliases.add.custom")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        const values = [command, ...words.split(/\s+/).filter((w) => w !== "")];
        await patch(tableUrl(path), { version: "none", changes: [{ op: "add", values }] });
        notice("good", t("app.saved"));
        props.done();
      }}
    >
      <TextField
        label={t(alias ? "aliases.name" : "aliases.custom")}
        help={alias ? undefined : t("aliases.custom-help")}
        value={name}
        onInput={setName}
        required
        autofocus
      />
      {alias && (
        <Choice
          label={t("domains.name")}
          value={domain}
          choices={props.domains.map((d) => [d.domain, d.domain])}
          onChange={setDomain}
        />
      )}
      <Choice
        label={t("aliases.command")}
        value={command}
        onChange={setCommand}
        choices={["redirect", "lredirect", "smtprelay", "external", "filter", "smtp"].map((c) => [c, t(("process." + c) as Key)])}
      />
      <TextField label={t("aliases.words")} help={t(("process.words." + command) as Key)} value={words} onInput={setWords} />
    </FormDialog>
  );
}

function Commands({ of }: { of: CommandTable }) {
  const domains = useDomains();
  const data = useData(of, () => get<string[]>("/table-files?of=" + encodeURIComponent(of)), true);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<string | null>(null);
  const alias = of === "cmdaliases/*/*.tab";
  return (
    <section class="card">
      <h2>{t(alias ? "aliases.commands" : "aliases.customs")}</h2>
      <p class="quiet">{t(alias ? "aliases.commands-text" : "aliases.customs-text")}</p>
      <Loaded data={data}>
        {(paths) =>
          paths.length === 0 ? (
            <p class="quiet">{t("aliases.none")}</p>
          ) : (
            <Grid label={t("aliases.commands")} head={[t("aliases.alias"), t("aliases.file"), t("app.actions")]}>
              {paths.map((p) => (
                <tr key={p}>
                  <td>
                    <Link to={tablePage(p)}>{commandName(p)}</Link>
                  </td>
                  <td>
                    <code>{p}</code>
                  </td>
                  <td>
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => setRemoving(p)}>
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
      {mayWrite() && (
        <div class="actions">
          <Button onClick={() => setAdding(true)} disabled={!domains.value?.length}>
            {t(alias ? "aliases.add.command" : "aliases.add.custom")}
          </Button>
        </div>
      )}
      {adding && domains.value && (
        <AddCommand of={of} domains={domains.value} onClose={() => setAdding(false)} done={data.again} />
      )}
      {removing && (
        <FormDialog
          title={t("removed.ask", { what: commandName(removing) })}
          text={t("aliases.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove(tableUrl(removing));
            notice("good", t("removed.done", { what: commandName(removing) }));
            data.again();
          }}
        />
      )}
    </section>
  );
}

export function Aliases() {
  const shown = param("kind") || "account";
  const kind = kinds.find((k) => k.key === shown);
  const tabs = isDelegate() ? ["account"] : [...kinds.map((k) => k.key), "command"];
  return (
    <Page title={t("aliases.title")}>
      <div class="tabs" role="group" aria-label={t("aliases.kinds")}>
        {tabs.map((k) => (
          <button
            key={k}
            type="button"
            aria-pressed={k === shown}
            onClick={() => setParams({ kind: k === "account" ? "" : k, search: "", offset: "" })}
          >
            {t(("aliases.kind." + k) as Key)}
          </button>
        ))}
      </div>
      {kind ? <Simple key={kind.key} kind={kind} /> : commandTables.map((of) => <Commands key={of} of={of} />)}
    </Page>
  );
}
