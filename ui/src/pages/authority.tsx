// The authority of our own, on the page of certificates: for clients and this server.
import { useState } from "preact/hooks";
import { get, post, remove } from "../api";
import { number, t, time, type Key } from "../i18n";
import { route } from "../router";
import { mayWrite } from "../session";
import { Choice, TextArea } from "../ui/fields";
import { Badge, Button, Dialog, FormDialog, Grid, Loaded, TextField, notice, useData } from "../ui/parts";

type Issued = { serial: string; kind: string; name: string; begun: number; ends: number; revoked: number };
type State = { certificate: { subject: string; ends: number; fingerprint: string } | null; pem: string; permitted: string[]; suggested?: string[]; issued: Issued[] };
type Closing = { onClose: () => void; again: () => void };

function save(octets: BlobPart, type: string, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([octets], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const LIMIT = "some";
function Make(props: Closing & { suggested: string[] }) {
  const [name, setName] = useState("");
  const [limit, setLimit] = useState<string>(props.suggested.length > 0 ? LIMIT : "all");
  const [domains, setDomains] = useState(props.suggested.join("\n"));
  return (
    <FormDialog
      title={t("authority.make")}
      text={t("authority.make-text")}
      submit={t("authority.make")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post("/authority", { name: name.trim(), domains: limit === LIMIT ? domains.split(/\s+/).filter(Boolean) : [] });
        notice("good", t("app.done"));
        props.again();
      }}
    >
      <TextField label={t("authority.name")} help={t("authority.name-help")} value={name} onInput={setName} required autofocus />
      <Choice
        label={t("authority.limit")}
        help={t("authority.limit-help")}
        value={limit}
        choices={[
          [LIMIT, t("authority.limit.some")],
          ["all", t("authority.limit.all")],
        ]}
        onChange={setLimit}
      />
      {limit === LIMIT && <TextArea label={t("authority.domains")} help={t("authority.domains-help")} value={domains} onInput={setDomains} required />}
    </FormDialog>
  );
}

function Issue(props: Closing) {
  const [address, setAddress] = useState("");
  const [days, setDays] = useState("730");
  const [made, setMade] = useState<{ file: string; password: string } | null>(null);
  if (made)
    return (
      <Dialog title={t("authority.issued-for", { name: address })} onClose={props.onClose}>
        <p>{t("authority.issued-text")}</p>
        <p>
          <code>{made.password}</code>
        </p>
        <div class="actions end">
          <Button onClick={() => navigator.clipboard.writeText(made.password)}>{t("password.copy")}</Button>
          <Button
            onClick={() =>
              save(Uint8Array.from(atob(made.file), (c) => c.charCodeAt(0)), "application/x-pkcs12", address + ".p12")
            }
          >
            {t("authority.save")}
          </Button>
          <Button kind="primary" onClick={props.onClose}>
            {t("app.close")}
          </Button>
        </div>
      </Dialog>
    );
  return (
    <FormDialog
      title={t("authority.issue")}
      text={t("authority.issue-text")}
      submit={t("authority.issue")}
      onClose={props.onClose}
      onSubmit={async () => {
        setMade(
          await post<{ file: string; password: string }>("/authority/clients", { address: address.trim(), days: Number(days) }),
        );
        props.again();
        return "stay";
      }}
    >
      <TextField label={t("authority.address")} type="email" value={address} onInput={setAddress} required autofocus />
      <TextField label={t("authority.days")} type="number" value={days} onInput={setDays} required />
    </FormDialog>
  );
}

function Ask(props: Closing & { title: string; text: string; submit: string; deed: () => Promise<unknown> }) {
  return (
    <FormDialog
      title={props.title}
      text={props.text}
      submit={props.submit}
      danger
      onClose={props.onClose}
      onSubmit={async () => {
        await props.deed();
        notice("good", t("app.done"));
        props.again();
      }}
    />
  );
}

function Row(props: { issued: Issued; onRevoke: () => void }) {
  const r = props.issued;
  const over = r.ends < Date.now() / 1000;
  return (
    <tr>
      <td>{r.name}</td>
      <td>{t(("authority.kind." + r.kind) as Key)}</td>
      <td>{time(r.ends)}</td>
      <td>
        {r.revoked > 0 ? (
          <Badge kind="bad">{t("authority.revoked", { time: time(r.revoked) })}</Badge>
        ) : (
          <Badge kind={over ? "warn" : "good"}>{t(over ? "tls.trouble.over" : "tls.good")}</Badge>
        )}
      </td>
      <td>
        {mayWrite() && r.revoked === 0 && !over && (
          <Button kind="danger" label={t("authority.revoke") + " – " + r.name} onClick={props.onRevoke}>
            {t("authority.revoke")}
          </Button>
        )}
      </td>
    </tr>
  );
}

export function Authority(props: { again: () => void }) {
  const data = useData("authority", () => get<State>("/authority"), true);
  const [doing, setDoing] = useState<"make" | "issue" | "sign" | Issued | null>(null);
  const close = { onClose: () => setDoing(null), again: data.again };
  const both = () => {
    data.again();
    props.again();
  };
  return (
    <section class="card">
      <h2>{t("authority.title")}</h2>
      <p>{t("authority.text")}</p>
      <Loaded data={data}>
        {(s) =>
          s.certificate === null ? (
            <>
              <p class="quiet">{t("authority.none")}</p>
              {mayWrite() && <Button onClick={() => setDoing("make")}>{t("authority.make")}</Button>}
            </>
          ) : (
            <>
              <dl class="facts-list">
                <div>
                  <dt>{t("tls.subject")}</dt>
                  <dd>{s.certificate.subject.replace(/^CN=/, "")}</dd>
                </div>
                <div>
                  <dt>{t("tls.ends")}</dt>
                  <dd>{time(s.certificate.ends)}</dd>
                </div>
                <div>
                  <dt>{t("authority.limit")}</dt>
                  <dd>{s.permitted.length > 0 ? s.permitted.join(", ") : t("authority.limit.all")}</dd>
                </div>
                <div>
                  <dt>{t("tls.fingerprint")}</dt>
                  <dd>{s.certificate.fingerprint}</dd>
                </div>
              </dl>
              <div class="actions">
                <Button onClick={() => save(s.pem, "application/x-x509-ca-cert", "authority.crt")}>{t("authority.download")}</Button>
                {mayWrite() && <Button onClick={() => setDoing("issue")}>{t("authority.issue")}</Button>}
                {mayWrite() && <Button onClick={() => setDoing("sign")}>{t("authority.sign")}</Button>}
              </div>
              {s.issued.length > 0 && (
                <Grid
                  label={t("authority.list", { n: number(s.issued.length) })}
                  head={[t("tls.subject"), t("authority.kind"), t("tls.ends"), t("tls.state"), t("app.actions")]}
                >
                  {s.issued
                    .slice()
                    .reverse()
                    .map((r) => (
                      <Row key={r.serial} issued={r} onRevoke={() => setDoing(r)} />
                    ))}
                </Grid>
              )}
            </>
          )
        }
      </Loaded>
      {doing === "make" && <Make {...close} suggested={data.value?.suggested ?? []} />}
      {doing === "issue" && <Issue {...close} />}
      {doing === "sign" && (
        <Ask
          onClose={close.onClose}
          again={both}
          title={t("authority.sign")}
          text={t("authority.sign-text")}
          submit={t("authority.sign")}
          deed={() => post("/tls/server/signed", {})}
        />
      )}
      {doing !== null && typeof doing === "object" && (
        <Ask
          {...close}
          title={t("authority.revoke-ask", { name: doing.name })}
          text={t("authority.revoke-text")}
          submit={t("authority.revoke")}
          deed={() => remove(route("/authority/issued", doing.serial))}
        />
      )}
    </section>
  );
}
