// Accounts of a domain, or of all; a new one.
import { useRef, useState } from "preact/hooks";
import { get, post } from "../api";
import { number, t, time } from "../i18n";
import { go, param, route } from "../router";
import { AddressList, type AddressRow } from "../ui/addresses";
import { Check, Choice, MadeDialog, PasswordField, Quota } from "../ui/fields";
import { Badge, Field, FormDialog, TextField, notice, useData } from "../ui/parts";
import { usePieces, type DomainRow } from "../ui/pieces";

type Row = AddressRow & { pop?: boolean; max_kb?: number };
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
      <MadeDialog
        title={t("password.made", { address: `${name}@${domain}` })}
        text={t("password.once")}
        password={made}
        onClose={() => props.done([domain, name])}
      />
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

function Mailbox({ u }: { u: Usage | undefined }) {
  if (u?.octets === undefined) return null;
  return <Quota octets={u.octets} mostKb={u.max_kb ?? 0} label={t("accounts.mailbox")} />;
}

export function Accounts() {
  const pieces = usePieces<Row>("/users?domain=" + encodeURIComponent(param("domain")));
  const usage = useUsage(pieces);
  return (
    <AddressList
      pieces={pieces}
      base="/accounts"
      words={{ title: "accounts.title", of: "accounts.of", add: "accounts.add", none: "accounts.none", count: "accounts.count" }}
      head={[t("accounts.account"), t("var.RealName"), t("accounts.mailbox"), t("accounts.messages"), t("accounts.last-login")]}
      badges={(r) => r.pop === false && <Badge kind="bad">{t("accounts.no-pop")}</Badge>}
      cells={(r) => {
        const u = usage.get(r.name + "@" + r.domain);
        return (
          <>
            <td>
              <Mailbox u={u} />
            </td>
            <td class="number">{u?.messages !== undefined && number(u.messages)}</td>
            <td>{u?.last_login ? time(u.last_login) : u && <span class="quiet">{t("accounts.never")}</span>}</td>
          </>
        );
      }}
      form={(domains, close) => (
        <NewAccount domains={domains} onClose={close} done={([d, n]) => go(route("/accounts", d, n))} />
      )}
    />
  );
}
