// Accounts of a domain, or of all; a new one.
import { useRef, useState } from "preact/hooks";
import { get, post } from "../api";
import { number, t, time } from "../i18n";
import { go, param, route } from "../router";
import { mayWrite } from "../session";
import { Check, Choice, MadePassword, PasswordField, Quota } from "../ui/fields";
import { Badge, Button, Dialog, Field, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { DomainChoice, Pager, Rows, Search, useDomains, usePieces, type DomainRow } from "../ui/pieces";

type Row = { domain: string; name: string; real_name?: string; receive?: boolean; pop?: boolean; max_kb?: number };
type Usage = Row & { octets?: number; messages?: number; last_login?: number };

export function NewAccount(props: { domains: DomainRow[]; onClose: () => void; done: (address: [string, string]) => void }) {
  const [domain, setDomain] = useState(param("domain") || props.domains[0]?.domain || "");
  const [name, setName] = useState("");
  const [realName, setRealName] = useState("");
  const [password, setPassword] = useState("");
  const [own, setOwn] = useState(false);
  const [quota, setQuota] = useState("");
  const [made, setMade] = useState<string | null>(null);
  const submit = async () => {
    const variables = { ...(realName ? { RealName: realName } : {}), ...(quota ? { MaxMBSize: quota } : {}) };
    const body = { domain, name, variables, ...(own ? { password } : {}) };
    const answer = await post<{ password: string | null }>("/users", body);
    notice("good", t("accounts.made", { address: `${name}@${domain}` }));
    if (answer.password === null) return props.done([domain, name]);
    setMade(answer.password);
    return "stay";
  };
  if (made !== null)
    return (
      <Dialog title={t("password.made", { address: `${name}@${domain}` })} onClose={() => props.done([domain, name])}>
        <p>{t("password.once")}</p>
        <MadePassword password={made} />
        <div class="actions end">
          <Button kind="primary" onClick={() => props.done([domain, name])}>
            {t("app.close")}
          </Button>
        </div>
      </Dialog>
    );
  return (
    <FormDialog title={t("accounts.add")} submit={t("app.add")} onClose={props.onClose} onSubmit={submit}>
      <TextField label={t("accounts.name")} help={t("accounts.name-help")} value={name} onInput={setName} required autofocus />
      <Choice
        label={t("domains.name")}
        value={domain}
        choices={props.domains.map((d) => [d.domain, d.domain])}
        onChange={setDomain}
      />
      <TextField label={t("var.RealName")} value={realName} onInput={setRealName} />
      <Field label={t("var.MaxMBSize")} help={t("accounts.quota-help")}>
        {(ids) => (
          <span class="with-unit">
            <input {...ids} inputMode="numeric" pattern="[0-9]*" value={quota} onInput={(e) => setQuota(e.currentTarget.value)} />
            <span>KB</span>
          </span>
        )}
      </Field>
      <Check label={t("accounts.own-password")} help={t("accounts.own-password-help")} value={own} onChange={setOwn} />
      {own && <PasswordField value={password} onInput={setPassword} name={name} />}
    </FormDialog>
  );
}

function services(r: Row) {
  return (
    <>
      {r.receive === false && <Badge kind="bad">{t("accounts.no-receive")}</Badge>}
      {r.pop === false && <Badge kind="bad">{t("accounts.no-pop")}</Badge>}
    </>
  );
}

/** What takes longer to find out comes after the names. */
function useUsage(pieces: { url: string; data: { fresh: boolean } }): Map<string, Usage> {
  const url = useRef("");
  if (pieces.data.fresh) url.current = pieces.url;
  const data = useData(
    url.current,
    async () => (url.current ? (await get<{ rows: Usage[] }>(url.current + "&usage=1")).rows : []),
    true,
  );
  return new Map((data.value ?? []).map((u) => [u.name + "@" + u.domain, u]));
}

export function Accounts() {
  const domain = param("domain");
  const domains = useDomains();
  const pieces = usePieces<Row>("/users?domain=" + encodeURIComponent(domain));
  const usage = useUsage(pieces);
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={domain ? t("accounts.of", { domain }) : t("accounts.title")}
      up={domain ? [[route("/domains", domain), domain]] : undefined}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)} disabled={!domains.value?.length}>
            {t("accounts.add")}
          </Button>
        )
      }
    >
      <div class="filters">
        <DomainChoice all domains={domains.value ?? []} />
        <Search pieces={pieces} label={t("accounts.search")} />
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <Rows pieces={pieces} count={now.rows.length} none={t("accounts.none")}>
            <p class="quiet" role="status">
              {t("accounts.count", { n: number(now.total) })}
            </p>
            <Grid
              label={t("accounts.title")}
              head={[
                t("accounts.account"),
                t("var.RealName"),
                t("accounts.mailbox"),
                t("accounts.messages"),
                t("accounts.last-login"),
              ]}
            >
              {now.rows.map((r) => {
                const u = usage.get(r.name + "@" + r.domain);
                return (
                  <tr key={r.name + "@" + r.domain}>
                    <td>
                      <Link to={route("/accounts", r.domain, r.name)}>
                        {r.name}
                        <wbr />
                        <span class="quiet">@{r.domain}</span>
                      </Link>{" "}
                      {services(r)}
                    </td>
                    <td>{r.real_name === "??" ? "" : r.real_name}</td>
                    <td>
                      {u?.octets !== undefined && (
                        <Quota octets={u.octets} mostKb={u.max_kb ?? 0} label={t("accounts.mailbox")} />
                      )}
                    </td>
                    <td class="number">{u?.messages !== undefined && number(u.messages)}</td>
                    <td>{u?.last_login ? time(u.last_login) : u && <span class="quiet">{t("accounts.never")}</span>}</td>
                  </tr>
                );
              })}
            </Grid>
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </Rows>
        )}
      </Loaded>
      {adding && domains.value && (
        <NewAccount domains={domains.value} onClose={() => setAdding(false)} done={([d, n]) => go(route("/accounts", d, n))} />
      )}
    </Page>
  );
}
