// Administrators of some domains, made and changed by owners.
import { useState } from "preact/hooks";
import { get, post, put, remove } from "../api";
import { t, time, type Key } from "../i18n";
import { route } from "../router";
import { Check, MadeDialog, PasswordField, TextArea } from "../ui/fields";
import { Badge, Button, FormDialog, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { domainsOf, itemName, Limits, type Delegation } from "../ui/delegation";

const numbers = ["max-users", "max-lists", "max-aliases", "max-members", "max-mailbox-kb", "sign-in-minutes"];
const flags = ["forwarding", "external", "stopped"];
const places = ["networks", "hours"];
const contact = ["person", "email", "telephone", "address", "memo"];
const told = ["support-person", "support-email", "support-telephone", "receiving-server", "sending-server"];
const withHelp = ["domains", "networks", "hours"];

function Form(props: { of: Delegation | null; onClose: () => void; again: () => void }) {
  const [name, setName] = useState(props.of?.name ?? "");
  const [password, setPassword] = useState("");
  const [values, setValues] = useState(props.of?.values ?? {});
  const [made, setMade] = useState<string | null>(null);
  const set = (item: string) => (value: string) => setValues({ ...values, [item]: value });
  const line = (item: string, required = false) => (
    <TextField
      key={item}
      label={itemName(item)}
      help={withHelp.includes(item) ? t(("delegates.help." + item) as Key) : undefined}
      type={numbers.includes(item) ? "number" : "text"}
      value={values[item] ?? ""}
      onInput={set(item)}
      required={required}
    />
  );
  if (made !== null)
    return (
      <MadeDialog title={t("password.made", { address: name })} text={t("password.once")} password={made} onClose={props.onClose} />
    );
  const submit = async () => {
    const all = { ...values, domains: (values.domains ?? "").split(/[\s,]+/).join(" ").trim() };
    if (props.of) await put(route("/delegates", name), { values: all });
    const answer = props.of
      ? null
      : await post<{ password: string | null }>("/delegates", { name, values: all, ...(password ? { password } : {}) });
    notice("good", t("app.saved"));
    props.again();
    if (!answer?.password) return undefined;
    setMade(answer.password);
    return "stay";
  };
  return (
    <FormDialog
      title={props.of ? t("delegates.change", { name }) : t("delegates.add")}
      submit={props.of ? t("app.save") : t("app.add")}
      onClose={props.onClose}
      onSubmit={submit}
    >
      {!props.of && (
        <>
          <TextField label={t("signin.name")} value={name} onInput={setName} required autofocus />
          <PasswordField value={password} onInput={setPassword} name={name} help={t("password.empty-help")} optional />
        </>
      )}
      {line("domains", true)}
      <p class="help">{t("delegates.no-limit")}</p>
      {numbers.map((item) => line(item))}
      {flags.map((item) => (
        <Check key={item} label={itemName(item)} value={values[item] === "1"} onChange={(on) => set(item)(on ? "1" : "")} />
      ))}
      {[...places, ...contact].map((item) => line(item))}
      <p class="help">{t("delegates.told")}</p>
      {told.map((item) => line(item))}
    </FormDialog>
  );
}

function Letter(props: { to: string; onClose: () => void }) {
  const [subject, setSubject] = useState("");
  const [text, setText] = useState("");
  return (
    <FormDialog
      title={t("delegates.write-to", { to: props.to })}
      submit={t("emergency.send")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post("/letters", { to: props.to, subject, text });
        notice("good", t("emergency.sent", { to: props.to }));
      }}
    >
      <TextField label={t("emergency.subject")} value={subject} onInput={setSubject} required autofocus />
      <TextArea label={t("emergency.text-label")} value={text} onInput={setText} rows={10} required />
    </FormDialog>
  );
}

function Card(props: { d: Delegation; change: () => void; remove: () => void; write: () => void; stop: () => void }) {
  const { d } = props;
  const stopped = d.values.stopped === "1";
  return (
    <section class="card">
      <h2>
        {d.name} {stopped && <Badge kind="bad">{itemName("stopped")}</Badge>}
      </h2>
      <p>{domainsOf(d).join(", ") || t("app.none")}</p>
      <Limits d={d} />
      {contact.some((item) => d.values[item]) && <p>{contact.flatMap((item) => d.values[item] ?? []).join(" · ")}</p>}
      <p class="quiet">{d.last_sign_in ? t("delegates.last", { time: time(d.last_sign_in) }) : t("delegates.never")}</p>
      <div class="actions">
        <Button onClick={props.change} label={t("delegates.change", { name: d.name })}>
          {t("delegates.edit")}
        </Button>
        <Button onClick={props.stop} label={`${t(stopped ? "delegates.let" : "delegates.stop")} – ${d.name}`}>
          {t(stopped ? "delegates.let" : "delegates.stop")}
        </Button>
        {d.values.email && (
          <Button onClick={props.write} label={t("delegates.write-to", { to: d.values.email })}>
            {t("delegates.write")}
          </Button>
        )}
        <Link to={"/audit?by=" + encodeURIComponent(d.name)}>{t("delegates.history", { name: d.name })}</Link>
        <Button kind="danger" onClick={props.remove} label={t("removed.ask", { what: d.name })}>
          {t("app.remove")}
        </Button>
      </div>
    </section>
  );
}

export function Delegates() {
  const data = useData("delegates", () => get<Delegation[]>("/delegates"), true);
  const [form, setForm] = useState<Delegation | "new" | null>(null);
  const [removing, setRemoving] = useState<Delegation | null>(null);
  const [writing, setWriting] = useState<string | null>(null);
  const stop = async (d: Delegation) => {
    await put(route("/delegates", d.name), { values: { ...d.values, stopped: d.values.stopped === "1" ? "" : "1" } });
    data.again();
  };
  return (
    <Page
      title={t("delegates.title")}
      actions={
        <Button kind="primary" onClick={() => setForm("new")}>
          {t("delegates.add")}
        </Button>
      }
    >
      <p>{t("delegates.text")}</p>
      <Loaded data={data}>
        {(rows) => (
          <>
            {rows.length === 0 && <p class="quiet">{t("delegates.none")}</p>}
            {rows.map((d) => (
              <Card key={d.name} d={d} change={() => setForm(d)} remove={() => setRemoving(d)} write={() => setWriting(d.values.email!)} stop={() => stop(d)} />
            ))}
          </>
        )}
      </Loaded>
      {form && <Form of={form === "new" ? null : form} onClose={() => setForm(null)} again={data.again} />}
      {writing && <Letter to={writing} onClose={() => setWriting(null)} />}
      {removing && (
        <FormDialog
          title={t("removed.ask", { what: removing.name })}
          text={t("admins.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove(route("/admins", removing.name));
            notice("good", t("removed.done", { what: removing.name }));
            data.again();
          }}
        />
      )}
    </Page>
  );
}
