// Certificates and keys: the server's own, those of hosts, authorities.
import { useEffect, useState } from "preact/hooks";
import { get, post, put, remove } from "../api";
import { t, time, type Key } from "../i18n";
import { route } from "../router";
import { mayWrite } from "../session";
import { said } from "../said";
import { TextArea } from "../ui/fields";
import { Authority } from "./authority";
import { Badge, Button, Dialog, Field, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";

type Plain = { subject: string; issuer: string; names: string[]; begins: number; ends: number; key: string; fingerprint: string };
type Certificate = Plain & { above: Plain[]; troubles: string[] };
type Held = { certificate: Certificate | null; why?: string };
type AcmeState = {
  wanted: string;
  agreed: boolean;
  directory: string;
  challenge: string;
  phase?: string;
  tried?: number;
  got?: number;
  next?: number;
  fails?: number;
  why?: string;
};
type State = Held & {
  acme: AcmeState;
  hosts: (Held & { host: string })[];
  authorities: (Plain & { file: string })[];
  services: { service: string; how: string }[];
  trusts_certs_pem: boolean;
  trusts_certs: boolean;
};

/* "CN=x,O=y": what people call it. */
function shortName(name: string): string {
  return /(?:^|,)CN=((?:\\.|[^,\\])*)/.exec(name)?.[1] ?? name;
}

function Troubles(props: { held: Held }) {
  const c = props.held.certificate;
  if (!c) return <Badge kind="bad">{props.held.why ? said(props.held.why) : t("tls.none")}</Badge>;
  if (c.troubles.length === 0) return <Badge kind="good">{t("tls.good")}</Badge>;
  return (
    <>
      {c.troubles.map((word) => (
        <Badge key={word} kind={word === "over" || word === "not-yet" ? "bad" : "warn"}>
          {t(("tls.trouble." + word) as Key)}
        </Badge>
      ))}
    </>
  );
}

function Facts(props: { certificate: Certificate }) {
  const c = props.certificate;
  const rows: [Key, string][] = [
    ["tls.subject", shortName(c.subject)],
    ["tls.names", c.names.join(", ")],
    ["tls.issuer", shortName(c.issuer)],
    ["tls.begins", time(c.begins)],
    ["tls.ends", time(c.ends)],
    ["tls.key", c.key],
    ["tls.fingerprint", c.fingerprint],
    ...c.above.map((a): [Key, string] => ["tls.chain", shortName(a.subject) + " – " + time(a.ends)]),
  ];
  return (
    <dl class="facts-list">
      {rows.map(([key, value], i) => (
        <div key={i}>
          <dt>{t(key)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/* --- changes --- */

function Pem(props: { label: string; help?: string; value: string; onInput: (text: string) => void; required?: boolean }) {
  return (
    <>
      <TextArea {...props} rows={5} />
      <Field label={props.label + " – " + t("tls.from-file")}>
        {(ids) => (
          <input
            {...ids}
            type="file"
            onChange={async (e) => {
              const file = e.currentTarget.files?.[0];
              if (file) props.onInput(await file.text());
            }}
          />
        )}
      </Field>
    </>
  );
}

function placeName(place: string): string {
  return place === "server" ? t("tls.place.server") : place;
}

type Closing = { onClose: () => void; again: () => void };

function Install(props: Closing & { place: string | null }) {
  const [host, setHost] = useState("");
  const [certificate, setCertificate] = useState("");
  const [key, setKey] = useState("");
  const place = props.place ?? host.trim();
  return (
    <FormDialog
      title={t("tls.install-of", { place: placeName(place || "…") })}
      text={t("tls.install-text")}
      submit={t("tls.install")}
      onClose={props.onClose}
      onSubmit={async () => {
        await put(route("/tls", place), key.trim() === "" ? { certificate } : { certificate, key });
        notice("good", t("app.done"));
        props.again();
      }}
    >
      {props.place === null && <TextField label={t("tls.host")} value={host} onInput={setHost} required autofocus />}
      <Pem label={t("tls.pem")} help={t("tls.pem-help")} value={certificate} onInput={setCertificate} required />
      <Pem label={t("tls.key-pem")} help={t("tls.key-help")} value={key} onInput={setKey} />
    </FormDialog>
  );
}

/** A request or a self-signed certificate: both want names. */
function Make(props: Closing & { place: string; kind: "request" | "self" }) {
  const [names, setNames] = useState("");
  const [made, setMade] = useState<string | null>(null);
  if (made !== null)
    return (
      <Dialog title={t("tls.request-made")} onClose={props.onClose}>
        <TextArea label={t("tls.request-made")} value={made} onInput={() => undefined} rows={12} />
        <div class="actions end">
          <Button onClick={() => navigator.clipboard.writeText(made)}>{t("password.copy")}</Button>
          <Button kind="primary" onClick={props.onClose}>
            {t("app.close")}
          </Button>
        </div>
      </Dialog>
    );
  const self = props.kind === "self";
  return (
    <FormDialog
      title={t(self ? "tls.self-of" : "tls.request-of", { place: placeName(props.place) })}
      text={t(self ? "tls.self-text" : "tls.request-text")}
      submit={t(self ? "tls.self" : "tls.request")}
      danger={self}
      onClose={props.onClose}
      onSubmit={async () => {
        const body = { names: names.split(/[\s,]+/).filter((n) => n !== "") };
        if (self) {
          await post(route("/tls", props.place, "self-signed"), body);
          notice("good", t("app.done"));
          props.again();
          return;
        }
        setMade((await post<{ request: string }>(route("/tls", props.place, "request"), body)).request);
        return "stay";
      }}
    >
      <TextArea label={t("tls.names")} help={t("tls.names-help")} value={names} onInput={setNames} />
    </FormDialog>
  );
}

function Trust(props: Closing) {
  const [certificate, setCertificate] = useState("");
  return (
    <FormDialog
      title={t("tls.trust")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post("/tls-authorities", { certificate });
        notice("good", t("app.done"));
        props.again();
      }}
    >
      <Pem label={t("tls.pem")} help={t("tls.pem-help")} value={certificate} onInput={setCertificate} required />
    </FormDialog>
  );
}

/* --- the page --- */

type Doing =
  | { what: "install"; place: string | null }
  | { what: "request"; place: string }
  | { what: "self"; place: string }
  | { what: "remove"; host: string }
  | { what: "trust" }
  | { what: "distrust"; authority: Plain };

function Deeds(props: { place: string; onDo: (doing: Doing) => void }) {
  const of = props.place === "server" ? "" : " – " + props.place;
  return (
    <div class="actions">
      <Button label={t("tls.install") + of} onClick={() => props.onDo({ what: "install", place: props.place })}>
        {t("tls.install")}
      </Button>
      <Button label={t("tls.request") + of} onClick={() => props.onDo({ what: "request", place: props.place })}>
        {t("tls.request")}
      </Button>
      <Button label={t("tls.self") + of} onClick={() => props.onDo({ what: "self", place: props.place })}>
        {t("tls.self")}
      </Button>
      {of !== "" && (
        <Button kind="danger" label={t("app.remove") + of} onClick={() => props.onDo({ what: "remove", host: props.place })}>
          {t("app.remove")}
        </Button>
      )}
    </div>
  );
}

function Server(props: { state: State; onDo: (doing: Doing) => void }) {
  const s = props.state;
  return (
    <section class="card">
      <h2>
        {t("tls.server")} <Troubles held={s} />
      </h2>
      <p>{t("tls.server-text", { services: s.services.map((x) => `${x.service} (${x.how})`).join(", ") })}</p>
      {s.certificate ? <Facts certificate={s.certificate} /> : <p>{t("tls.none-listening")}</p>}
      {mayWrite() && <Deeds place="server" onDo={props.onDo} />}
    </section>
  );
}

/** Orders from the authority: what is wanted, what became of the last. */
function Acme(props: { acme: AcmeState; again: () => void }) {
  const a = props.acme;
  const phase = a.phase ?? "idle";
  /* While an order is under way the page looks again. */
  useEffect(() => {
    if (phase === "idle") return;
    const timer = setTimeout(props.again, 2000);
    return () => clearTimeout(timer);
  }, [a]);
  const on = a.wanted !== "" && a.agreed;
  const when = (seconds?: number) => (seconds ? time(seconds) : "–");
  const rows: [Key, string][] = [
    ["acme.names", a.wanted],
    ["acme.authority", a.directory],
    ["acme.challenge", a.challenge],
    ["acme.phase", t(("acme.phase." + phase) as Key)],
    ["acme.tried", when(a.tried)],
    ["acme.got", when(a.got)],
    ...(a.fails ? ([["acme.next", when(a.next)]] as [Key, string][]) : []),
  ];
  return (
    <section class="card">
      <h2>{t("acme.title")}</h2>
      <p>{t("acme.text")}</p>
      {on ? (
        <dl class="facts-list">
          {rows.map(([key, value]) => (
            <div key={key}>
              <dt>{t(key)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p class="quiet">{t("acme.off")}</p>
      )}
      {a.why && <p class="notice bad">{t("acme.failed", { why: said(a.why) })}</p>}
      <div class="actions">
        {on && mayWrite() && (
          <Button
            disabled={phase !== "idle"}
            onClick={async () => {
              await post("/tls-order");
              props.again();
            }}
          >
            {t("acme.order")}
          </Button>
        )}
        <Link to="/settings?group=TLS">{t("acme.settings")}</Link>
      </div>
    </section>
  );
}

function Hosts(props: { state: State; onDo: (doing: Doing) => void }) {
  const head = [t("tls.host"), t("tls.names"), t("tls.issuer"), t("tls.ends"), t("tls.state"), t("app.actions")];
  return (
    <section class="card">
      <h2>{t("tls.hosts")}</h2>
      <p>{t("tls.hosts-text")}</p>
      {props.state.hosts.length === 0 ? (
        <p class="quiet">{t("tls.hosts-none")}</p>
      ) : (
        <Grid label={t("tls.hosts")} head={head}>
          {props.state.hosts.map((h) => (
            <tr key={h.host}>
              <td>{h.host}</td>
              <td>{h.certificate?.names.join(", ")}</td>
              <td>{h.certificate && shortName(h.certificate.issuer)}</td>
              <td>{h.certificate && time(h.certificate.ends)}</td>
              <td>
                <Troubles held={h} />
              </td>
              <td>{mayWrite() && <Deeds place={h.host} onDo={props.onDo} />}</td>
            </tr>
          ))}
        </Grid>
      )}
      {mayWrite() && <Button onClick={() => props.onDo({ what: "install", place: null })}>{t("tls.add-host")}</Button>}
    </section>
  );
}

function Authorities(props: { state: State; onDo: (doing: Doing) => void }) {
  const s = props.state;
  const inFile = s.authorities.some((a) => a.file === "certs.pem");
  const inFolder = s.authorities.some((a) => a.file !== "certs.pem");
  return (
    <section class="card">
      <h2>{t("tls.authorities")}</h2>
      <p>{t("tls.authorities-text")}</p>
      {inFile && !s.trusts_certs_pem && <p class="notice">{t("tls.authorities-off", { file: "certs.pem" })}</p>}
      {inFolder && !s.trusts_certs && <p class="notice">{t("tls.authorities-off", { file: "certs/" })}</p>}
      {s.authorities.length === 0 ? (
        <p class="quiet">{t("tls.authorities-none")}</p>
      ) : (
        <Grid label={t("tls.authorities")} head={[t("tls.subject"), t("tls.ends"), t("tls.file"), t("app.actions")]}>
          {s.authorities.map((a) => (
            <tr key={a.file + a.fingerprint}>
              <td>{shortName(a.subject)}</td>
              <td>{time(a.ends)}</td>
              <td>{a.file}</td>
              <td>
                {mayWrite() && (
                  <Button
                    kind="danger"
                    label={t("tls.distrust") + " – " + shortName(a.subject)}
                    onClick={() => props.onDo({ what: "distrust", authority: a })}
                  >
                    {t("tls.distrust")}
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </Grid>
      )}
      {mayWrite() && <Button onClick={() => props.onDo({ what: "trust" })}>{t("tls.trust")}</Button>}
      <p>
        <Link to="/settings?group=TLS">{t("tls.settings")}</Link>
      </p>
    </section>
  );
}

function Doings(props: Closing & { doing: Doing }) {
  const { doing, ...closing } = props;
  const done = async (deed: Promise<unknown>) => {
    await deed;
    notice("good", t("app.done"));
    props.again();
  };
  if (doing.what === "install") return <Install place={doing.place} {...closing} />;
  if (doing.what === "request" || doing.what === "self") return <Make kind={doing.what} place={doing.place} {...closing} />;
  if (doing.what === "trust") return <Trust {...closing} />;
  const removing = doing.what === "remove";
  return (
    <FormDialog
      title={
        removing
          ? t("tls.remove-ask", { host: doing.host })
          : t("tls.distrust-ask", { name: shortName(doing.authority.subject) })
      }
      text={removing ? t("tls.remove-text") : undefined}
      submit={t(removing ? "app.remove" : "tls.distrust")}
      danger
      onClose={props.onClose}
      onSubmit={() =>
        done(remove(removing ? route("/tls", doing.host) : route("/tls-authorities", doing.authority.fingerprint)))
      }
    />
  );
}

export function Tls() {
  const data = useData("tls", () => get<State>("/tls"), true);
  const [doing, setDoing] = useState<Doing | null>(null);
  return (
    <Page title={t("tls.title")}>
      <p>{t("tls.text")}</p>
      <Loaded data={data}>
        {(s) => (
          <>
            <Server state={s} onDo={setDoing} />
            <Acme acme={s.acme} again={data.again} />
            <Hosts state={s} onDo={setDoing} />
            <Authority again={data.again} />
            <Authorities state={s} onDo={setDoing} />
          </>
        )}
      </Loaded>
      {doing && <Doings doing={doing} onClose={() => setDoing(null)} again={data.again} />}
    </Page>
  );
}
