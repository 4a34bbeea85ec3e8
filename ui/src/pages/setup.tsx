// First set-up as one guided page: what the server needs before the first mail, in order.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError, get, patch, post } from "../api";
import { t, time, type Key } from "../i18n";
import { route } from "../router";
import { mayWrite } from "../session";
import { said } from "../said";
import { DnsRecords } from "../ui/dns";
import { Badge, Button, Grid, Link, Loaded, Page, TextField, notice, problem, useData } from "../ui/parts";
import { useDomains } from "../ui/pieces";
import { tableUrl, type Rows } from "../ui/table";
import { TableRows } from "../ui/tablerows";
import { NewAccount } from "./accounts";
import type { Status } from "./overview";
import { Waiting, type Options } from "./settings";

function Step(props: { n: number; title: Key; text: Key; done?: boolean; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>
        {props.n}. {t(props.title)}
        {props.done !== undefined && (
          <Badge kind={props.done ? "good" : "warn"}>{props.done ? t("setup.done") : t("setup.open")}</Badge>
        )}
      </h2>
      <p>{t(props.text)}</p>
      {props.children}
    </section>
  );
}

const basics = ["RootDomain", "SmtpServerDomain", "HeloDomain", "POP3Domain", "PostMaster"];
const services = ["smtp", "submission", "smtps", "pop3", "pop3s", "http", "https", "ctrl", "ctrls", "finger"];

/** Some settings as a form; words: their label and help. */
function SomeOptions(props: {
  options: Options;
  again: () => void;
  names: string[];
  words: (name: string) => { label: string; help: string };
}) {
  const of = (name: string) => props.options.options.find((o) => o.name === name);
  const [values, setValues] = useState<Record<string, string>>({});
  const changed = Object.keys(values).filter((name) => values[name] !== (of(name)?.value ?? ""));
  const save = async () => {
    try {
      const sent = changed.map((name) => [name, values[name] === "" ? null : values[name]]);
      await patch("/options", { version: props.options.version, values: Object.fromEntries(sent) });
      notice("good", t("app.saved"));
      setValues({});
    } catch (e) {
      const other = e instanceof ApiError && e.code === "changed";
      notice("bad", other ? t("vars.changed") : problem(e));
    }
    props.again();
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void save();
      }}
    >
      <div class="columns">
        {props.names.map((name) => (
          <TextField
            key={name}
            {...props.words(name)}
            value={values[name] ?? of(name)?.value ?? ""}
            placeholder={(props.options.origin === "new" ? of(name)?.fresh : of(name)?.xmail) ?? undefined}
            onInput={(v) => setValues({ ...values, [name]: v })}
          />
        ))}
      </div>
      {mayWrite() && (
        <div class="actions">
          <Button type="submit" kind="primary" disabled={changed.length === 0}>
            {t("app.save")}
          </Button>
        </div>
      )}
    </form>
  );
}

type Reach = { host: string; tries: { service: string; address: string; by_name: boolean; answers: boolean; text: string }[] };

/** Does each service answer? */
function Reachable() {
  const [now, setNow] = useState<Reach | null>(null);
  if (!mayWrite()) return null;
  return (
    <>
      <h3>{t("reach.title")}</h3>
      <p>{t("reach.text")}</p>
      <Button onClick={async () => setNow(await get<Reach>("/reachable"))}>{t("reach.do")}</Button>
      {now && (
        <div role="status">
          <Grid
            label={t("reach.title")}
            head={[t("overview.service"), t("overview.address"), t("reach.answer"), t("reach.said")]}
          >
            {now.tries.map((r) => (
              <tr key={r.service + r.address + r.by_name}>
                <td>{r.service}</td>
                <td>
                  {r.address}
                  <div class="quiet">{r.by_name ? t("reach.by-name", { host: now.host }) : t("reach.here")}</div>
                </td>
                <td>
                  <Badge kind={r.answers ? "good" : "bad"}>{r.answers ? t("reach.yes") : t("reach.no")}</Badge>
                </td>
                <td class="breaks">{said(r.text)}</td>
              </tr>
            ))}
          </Grid>
          <p class="quiet">
            {now.tries.some((r) => r.by_name) ? t("reach.proves") : t("reach.no-name", { host: now.host })}
          </p>
        </div>
      )}
    </>
  );
}

function Domains(props: { domains: { domain: string }[]; again: () => void; suggestion: string }) {
  const [name, setName] = useState(props.suggestion);
  const there = props.domains.some((d) => d.domain === name.toLowerCase());
  return (
    <>
      <ul>
        {props.domains.map((d) => (
          <li key={d.domain}>
            <Link to={route("/domains", d.domain)}>{d.domain}</Link>
          </li>
        ))}
      </ul>
      {mayWrite() && (
        <>
          <TextField label={t("domains.add")} help={t("domains.help")} value={name} onInput={setName} />
          <Button
            disabled={name === "" || there}
            onClick={async () => {
              await post("/domains", { domain: name });
              notice("good", t("app.done"));
              props.again();
            }}
          >
            {t("domains.add")}
          </Button>
        </>
      )}
    </>
  );
}

/** The rows of a short table, with what can be done to them. */
function Networks(props: { path: string; data: ReturnType<typeof useTable> }) {
  const [adding, setAdding] = useState(false);
  return (
    <Loaded data={props.data}>
      {(now) => (
        <>
          <TableRows path={props.path} now={now} again={props.data.again} plain adding={adding} setAdding={setAdding} />
          {mayWrite() && (
            <div class="actions">
              <Button onClick={() => setAdding(true)} label={`${t("tables.new-row")}: ${props.path}`}>
                {t("tables.new-row")}
              </Button>
            </div>
          )}
        </>
      )}
    </Loaded>
  );
}
const useTable = (path: string) => useData(path, () => get<Rows>(tableUrl(path) + "?limit=1000"), true);

export function Setup() {
  const options = useData("options", () => get<Options>("/options"), true);
  const status = useData("status", () => get<Status>("/status"), true);
  const domains = useDomains();
  const relay = useTable("smtprelay.tab");
  const ctrl = useTable("ctrl.ipmap.tab");
  const [adding, setAdding] = useState(false);
  const value = (name: string) => options.value?.options.find((o) => o.name === name)?.value ?? "";
  const ends = status.value?.certificate_expires ?? 0;
  return (
    <Page title={t("setup.title")}>
      <p>{t("setup.intro")}</p>
      <Step n={1} title="setup.names" text="setup.names-text" done={value("RootDomain") !== "" && value("PostMaster") !== ""}>
        <Loaded data={options}>{(o) => (
            <SomeOptions
              options={o}
              again={options.again}
              names={basics}
              words={(name) => ({ label: t(("setup." + name) as Key), help: t(("setup." + name + "-help") as Key) })}
            />
          )}</Loaded>
      </Step>
      <Step n={2} title="setup.domains" text="setup.domains-text" done={(domains.value?.length ?? 0) > 0}>
        <Loaded data={domains}>
          {(rows) => <Domains domains={rows} again={domains.again} suggestion={rows.length === 0 ? value("RootDomain") : ""} />}
        </Loaded>
      </Step>
      <Step n={3} title="setup.users" text="setup.users-text" done={(status.value?.accounts ?? 0) > 0}>
        <div class="actions">
          {mayWrite() && (
            <Button onClick={() => setAdding(true)} disabled={!domains.value?.length}>
              {t("accounts.add")}
            </Button>
          )}
          <Link to="/accounts">{t("accounts.title")}</Link>
          <Link to="/bulk">{t("bulk.title")}</Link>
        </div>
      </Step>
      <Step n={4} title="setup.relay" text="setup.relay-text">
        <Networks path="smtprelay.tab" data={relay} />
      </Step>
      <Step n={5} title="setup.ctrl" text="setup.ctrl-text">
        <Networks path="ctrl.ipmap.tab" data={ctrl} />
      </Step>
      <Step n={6} title="setup.tls" text="setup.tls-text" done={ends * 1000 > Date.now()}>
        <p>
          {t("overview.certificate")}: {ends > 0 ? time(ends) : t("overview.no-certificate")}
        </p>
        <p>
          <Link to="/tls">{t("nav.tls")}</Link>
        </p>
      </Step>
      <Step n={7} title="setup.services" text="setup.services-text" done={(status.value?.listening.length ?? 0) > 0}>
        <Loaded data={status}>
          {(now) => <p>{now.listening.map((l) => `${l.service} ${l.address}`).join(", ")}</p>}
        </Loaded>
        <Loaded data={options}>
          {(o) => (
            <>
              <p>{t("setup.listen")}</p>
              <SomeOptions
                options={o}
                again={options.again}
                names={services.map((s) => "Listen-" + s)}
                words={(name) => ({ label: name, help: t(("setup.listen." + name.slice("Listen-".length)) as Key) })}
              />
              <Waiting options={o.options} />
            </>
          )}
        </Loaded>
        <Reachable />
      </Step>
      <section class="card">
        <h2>8. {t("setup.dns")}</h2>
        <p>{t("dns.text")}</p>
        {domains.value?.slice(0, 3).map((d) => (
          <div key={d.domain}>
            <h3>{d.domain}</h3>
            <DnsRecords domain={d.domain} />
          </div>
        ))}
        <ul>
          {domains.value?.slice(3, 50).map((d) => (
            <li key={d.domain}>
              <Link to={route("/domains", d.domain, "dns")}>{d.domain}</Link>
            </li>
          ))}
        </ul>
      </section>
      {adding && domains.value && (
        <NewAccount
          domains={domains.value}
          onClose={() => setAdding(false)}
          done={() => {
            setAdding(false);
            status.again();
          }}
        />
      )}
    </Page>
  );
}
