// Groups of accounts, and one of them: who belongs to it, what is done with its mail.
import { useEffect, useState } from "preact/hooks";
import { get, patch, post, remove } from "../api";
import { number, t, type Key } from "../i18n";
import { go, route } from "../router";
import { mayWrite } from "../session";
import { Along } from "../ui/along";
import { Choice, TextArea } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { Pager, Rows, Search, usePieces } from "../ui/pieces";

const fields = ["name", "first", "last", "list", "person", "mail", "memo"] as const;
type Fields = Record<(typeof fields)[number], string>;
export type Group = Fields & { id: string; members: number; state: "now" | "later" | "over"; version: string };
type Member = { domain: string; name: string; exists: boolean };

const State = ({ group }: { group: Group }) => (
  <Badge kind={group.state === "now" ? "good" : group.state === "over" ? "warn" : undefined}>
    {t(("groups.state." + group.state) as Key)}
  </Badge>
);
const days = (g: Group) => (g.first || g.last ? `${g.first} – ${g.last}` : "");

function GroupFields(props: { values: Fields; change: (values: Fields) => void }) {
  const field = (name: keyof Fields, type: "text" | "date" | "email" = "text") => (
    <TextField
      type={type}
      label={t(("groups." + name) as Key)}
      help={name === "last" ? t("groups.days-help") : undefined}
      value={props.values[name]}
      onInput={(value) => props.change({ ...props.values, [name]: value })}
      required={name === "name"}
    />
  );
  return (
    <>
      {field("name")}
      <div class="columns">
        {field("first", "date")}
        {field("last", "date")}
      </div>
      {field("list", "email")}
      {field("person")}
      {field("mail", "email")}
      {field("memo")}
    </>
  );
}
const none: Fields = { name: "", first: "", last: "", list: "", person: "", mail: "", memo: "" };

function NewGroup(props: { onClose: () => void }) {
  const [values, setValues] = useState(none);
  return (
    <FormDialog
      title={t("groups.add")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        const { id } = await post<{ id: string }>("/groups", values);
        notice("good", t("groups.added", { name: values.name }));
        go(route("/groups", id));
      }}
    >
      <GroupFields values={values} change={setValues} />
    </FormDialog>
  );
}

export function Groups() {
  const data = useData("groups", () => get<Group[]>("/groups"));
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={t("groups.title")}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)}>
            {t("groups.add")}
          </Button>
        )
      }
    >
      <p>{t("groups.text")}</p>
      <Loaded data={data}>
        {(all) =>
          all.length === 0 ? (
            <p class="quiet">{t("groups.none")}</p>
          ) : (
            <Grid
              label={t("groups.title")}
              head={[t("groups.name"), t("groups.state"), t("groups.days"), t("groups.members"), t("groups.list"), t("groups.person")]}
            >
              {all.map((g) => (
                <tr key={g.id}>
                  <td>
                    <Link to={route("/groups", g.id)}>{g.name}</Link>
                  </td>
                  <td>
                    <State group={g} />
                  </td>
                  <td>{days(g)}</td>
                  <td class="number">{number(g.members)}</td>
                  <td>{g.list}</td>
                  <td>{g.person}</td>
                </tr>
              ))}
            </Grid>
          )
        }
      </Loaded>
      {adding && <NewGroup onClose={() => setAdding(false)} />}
    </Page>
  );
}

/* --- one --- */

function About(props: { group: Group; again: () => void }) {
  const { group } = props;
  const [values, setValues] = useState<Fields>(group);
  useEffect(() => setValues(group), [group]);
  const changed = Object.fromEntries(fields.filter((f) => values[f] !== group[f]).map((f) => [f, values[f]]));
  const list = group.list.split("@");
  return (
    <section class="card">
      <h2>{t("groups.about")}</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void patch(route("/groups", group.id), { version: group.version, ...changed }).then(
            () => (notice("good", t("app.saved")), props.again()),
            props.again,
          );
        }}
      >
        <fieldset disabled={!mayWrite()}>
          <GroupFields values={values} change={setValues} />
        </fieldset>
        <div class="actions">
          {mayWrite() && Object.keys(changed).length > 0 && (
            <Button type="submit" kind="primary">
              {t("app.save")}
            </Button>
          )}
          {group.list && (
            <a class="button" href={"mailto:" + group.list}>
              {t("groups.write")}
            </a>
          )}
          {group.list && mayWrite() && (
            <Button
              onClick={async () => {
                const { added } = await post<{ added: number }>(route("/groups", group.id, "list"));
                notice("good", t("groups.to-list-done", { n: number(added), list: list[0] ?? "" }));
              }}
            >
              {t("groups.to-list")}
            </Button>
          )}
        </div>
      </form>
    </section>
  );
}

function AddMembers(props: { path: string; onClose: () => void; again: () => void }) {
  const [text, setText] = useState("");
  const [unknown, setUnknown] = useState<string[]>([]);
  const submit = async () => {
    const addresses = text.split(/[\s,;]+/).filter((a) => a !== "");
    const answer = await post<{ added: number; already: number; unknown: string[] }>(props.path, { addresses });
    notice("good", t("groups.members-added", { n: number(answer.added), already: number(answer.already) }));
    props.again();
    if (answer.unknown.length === 0) return undefined;
    setUnknown(answer.unknown);
    setText(answer.unknown.join("\n"));
    return "stay";
  };
  return (
    <FormDialog title={t("groups.add-members")} submit={t("app.add")} onClose={props.onClose} onSubmit={submit}>
      <TextArea label={t("lists.addresses")} help={t("groups.addresses-help")} value={text} onInput={setText} rows={6} required />
      {unknown.length > 0 && (
        <div class="notice bad" role="alert">
          {t("groups.unknown")} {unknown.join(", ")}
        </div>
      )}
    </FormDialog>
  );
}

function Members(props: { group: Group; again: () => void }) {
  const path = route("/groups", props.group.id, "members");
  const pieces = usePieces<Member>(path);
  const [adding, setAdding] = useState(false);
  const again = () => {
    pieces.data.again();
    props.again();
  };
  const take = async (m: Member) => {
    await remove(path + route("", m.domain, m.name));
    again();
    const undo = async () => {
      await post(path, { addresses: [`${m.name}@${m.domain}`] });
      again();
    };
    notice("good", t("removed.done", { what: `${m.name}@${m.domain}` }), m.exists ? { name: t("removed.undo"), run: undo } : undefined);
  };
  return (
    <section>
      <h2>{t("groups.members")}</h2>
      <div class="filters">
        <Search pieces={pieces} label={t("groups.search")} />
        {mayWrite() && <Button onClick={() => setAdding(true)}>{t("groups.add-members")}</Button>}
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <Rows pieces={pieces} count={now.rows.length} none={t("groups.no-members")}>
            <Grid label={t("groups.members")} head={[t("accounts.account"), t("app.actions")]}>
              {now.rows.map((m) => (
                <tr key={m.name + "@" + m.domain}>
                  <td>
                    <Link to={route("/accounts", m.domain, m.name)}>
                      {m.name}@{m.domain}
                    </Link>{" "}
                    {!m.exists && <Badge kind="bad">{t("groups.gone")}</Badge>}
                  </td>
                  <td>
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => take(m)}>
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
      {adding && <AddMembers path={path} onClose={() => setAdding(false)} again={again} />}
    </section>
  );
}

type Job = { state: string; done: number; total: number; result?: { done: number; failed: string[] } };

/** Waits for a job, telling how far it is. */
async function follow(id: number, tell: (job: Job) => void): Promise<Job> {
  for (;;) {
    const job = await get<Job>("/jobs/" + id);
    tell(job);
    if (job.state !== "running") return job;
    await new Promise((later) => setTimeout(later, 400));
  }
}

function SetAll(props: { group: Group; onClose: () => void }) {
  const [service, setService] = useState("keep");
  const [quota, setQuota] = useState("");
  const [job, setJob] = useState<Job | null>(null);
  const variables = {
    ...(service === "keep" ? {} : { ReceiveEnable: service === "on" ? "1" : "0", PopEnable: service === "on" ? "1" : "0" }),
    ...(quota === "" ? {} : { MaxMBSize: quota }),
  };
  const failed = job?.result?.failed ?? [];
  return (
    <FormDialog
      title={t("groups.all")}
      text={t("groups.all-text")}
      submit={t("app.save")}
      disabled={Object.keys(variables).length === 0}
      onClose={props.onClose}
      onSubmit={async () => {
        const answer = await post<{ job: number }>(route("/groups", props.group.id, "variables"), { variables });
        const end = await follow(answer.job, setJob);
        notice("good", t("groups.set-done", { n: number(end.result?.done ?? 0) }));
        return end.result?.failed.length ? "stay" : undefined;
      }}
    >
      <Choice
        label={t("groups.service")}
        value={service}
        choices={["keep", "on", "off"].map((s) => [s, t(("groups.service." + s) as Key)])}
        onChange={setService}
      />
      <TextField type="number" label={t("groups.quota")} value={quota} onInput={setQuota} />
      {job && job.state === "running" && <progress max={job.total} value={job.done} aria-label={t("groups.all")} />}
      {failed.length > 0 && (
        <div class="notice bad" role="alert">
          {t("groups.set-failed")} {failed.join(", ")}
        </div>
      )}
    </FormDialog>
  );
}

export function GroupPage({ id }: { id: string }) {
  const path = route("/groups", id);
  const data = useData(path, () => get<Group>(path), true);
  const [dialog, setDialog] = useState<"remove" | "all" | null>(null);
  const name = data.value?.name ?? id;
  return (
    <Page
      title={name}
      up={[["/groups", t("nav.groups")]]}
      actions={
        mayWrite() && (
          <>
            <Button onClick={() => setDialog("all")}>{t("groups.set-all")}</Button>
            <Button kind="danger" onClick={() => setDialog("remove")}>
              {t("app.remove")}
            </Button>
          </>
        )
      }
    >
      <Loaded data={data}>
        {(group) => (
          <>
            <p>
              <State group={group} /> {days(group)}
            </p>
            <Members group={group} again={data.again} />
            <About group={group} again={data.again} />
            <Along path={path} writable={mayWrite()} />
            {dialog === "all" && <SetAll group={group} onClose={() => setDialog(null)} />}
          </>
        )}
      </Loaded>
      {dialog === "remove" && (
        <FormDialog
          title={t("removed.ask", { what: name })}
          text={t("groups.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setDialog(null)}
          onSubmit={async () => {
            await remove(path);
            notice("good", t("groups.removed", { name }));
            go("/groups");
          }}
        />
      )}
    </Page>
  );
}
