// One account: how full it is, its settings, password, forwarding, mailboxes elsewhere.
import { useState } from "preact/hooks";
import { get, patch, put } from "../api";
import { number, t, time } from "../i18n";
import { go, route } from "../router";
import { isDelegate, mayWrite } from "../session";
import { Along } from "../ui/along";
import { MadeDialog, PasswordField, Quota } from "../ui/fields";
import { RefusedSenders } from "../ui/lines";
import { Badge, Button, FormDialog, Link, Loaded, Page, notice, useData } from "../ui/parts";
import { removeWithUndo } from "../ui/removed";
import { tablePage } from "../ui/table";
import { VariablesForm, type Values, type Variable } from "../ui/variables";
import { Forwarding } from "./forwarding";
import type { Group } from "./groups";
import { PopLinks } from "./poplinks";

export type Account = {
  domain: string;
  name: string;
  type: "user" | "list";
  processed: boolean;
  version: string;
  variables: Values;
  state?: { MailboxSize: string; MailboxMessages: string; LastLoginIP: string; LastLoginTimeDate: string };
};
export const useVariables = () => useData("user-variables", () => get<Variable[]>("/user-variables"));
export const url = (domain: string, name: string) => route("/users", domain, name);

/** A file in the account's folder, on the page of tables. */
export const file = (a: Account, name: string) => tablePage(`domains/${a.domain}/${a.name}/${name}`);

export function NewPassword(props: { domain: string; name: string; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [made, setMade] = useState<string | null>(null);
  const address = `${props.name}@${props.domain}`;
  if (made !== null)
    return (
      <MadeDialog
        title={t("password.made", { address })}
        text={t("password.once")}
        password={made}
        onClose={props.onClose}
      />
    );
  return (
    <FormDialog
      title={t("password.of", { address })}
      submit={t("password.set")}
      onClose={props.onClose}
      onSubmit={async () => {
        const answer = await put<{ password: string | null }>(url(props.domain, props.name) + "/password", { password });
        notice("good", t("password.changed"));
        if (answer.password === null) return undefined;
        setMade(answer.password);
        return "stay";
      }}
    >
      <PasswordField value={password} onInput={setPassword} name={props.name} help={t("password.empty-help")} optional />
    </FormDialog>
  );
}

function State({ a }: { a: Account }) {
  const s = a.state;
  if (!s) return null;
  const most = Object.entries(a.variables).find(([name]) => name.toLowerCase() === "maxmbsize")?.[1] ?? "0";
  const last = Number(s.LastLoginTimeDate);
  return (
    <dl class="figures">
      <div class="figure">
        <dt>{t("accounts.mailbox")}</dt>
        <dd>
          <Quota octets={Number(s.MailboxSize)} mostKb={Number(most)} label={t("accounts.mailbox")} />
        </dd>
      </div>
      <div class="figure">
        <dt>{t("accounts.messages")}</dt>
        <dd>{number(Number(s.MailboxMessages))}</dd>
      </div>
      <div class="figure">
        <dt>{t("accounts.last-login")}</dt>
        <dd>{last > 0 ? `${time(last)} (${s.LastLoginIP})` : t("accounts.never")}</dd>
      </div>
    </dl>
  );
}

function InGroups({ address }: { address: string }) {
  const data = useData("groups" + address, () => get<Group[]>("/groups?member=" + encodeURIComponent(address)));
  return (
    <li>
      <Link to="/groups">{t("groups.of-account")}</Link>
      {": "}
      {data.value?.length === 0 && t("app.none")}
      {data.value?.map((g, i) => (
        <>
          {i > 0 && ", "}
          <Link key={g.id} to={route("/groups", g.id)}>
            {g.name}
          </Link>
        </>
      ))}
    </li>
  );
}

export function AccountPage(props: { domain: string; name: string }) {
  const { domain, name } = props;
  const address = `${name}@${domain}`;
  const data = useData(address, () => get<Account>(url(domain, name)), true);
  const rows = useVariables();
  const [dialog, setDialog] = useState<"password" | "remove" | null>(null);
  const list = "/accounts?domain=" + encodeURIComponent(domain);
  return (
    <Page
      title={address}
      up={[
        ["/accounts", t("nav.accounts")],
        [list, domain],
      ]}
      actions={
        mayWrite() && (
          <>
            <Button onClick={() => setDialog("password")}>{t("password.change")}</Button>
            <Button kind="danger" onClick={() => setDialog("remove")}>
              {t("app.remove")}
            </Button>
          </>
        )
      }
    >
      <Loaded data={data}>
        {(a) => (
          <>
            {a.processed && (
              <p>
                <Badge kind="warn">{t("accounts.processed")}</Badge>
              </p>
            )}
            <State a={a} />
            <Loaded data={rows}>
              {(all) => (
                <VariablesForm
                  rows={all.filter((r) => r.user)}
                  values={a.variables}
                  save={(changes) => patch(url(domain, name), { version: a.version, variables: changes })}
                  again={data.again}
                />
              )}
            </Loaded>
            <Forwarding account={a} again={data.again} />
            <Along path={url(domain, name)} writable={mayWrite()} again={data.again} />
            <PopLinks domain={domain} name={name} />
            <RefusedSenders domain={domain} name={name} />
            <section class="card">
              <h2>{t("accounts.more")}</h2>
              <ul>
                <li>
                  <Link to={"/aliases?search=" + encodeURIComponent(name)}>{t("accounts.aliases")}</Link>
                </li>
                {!isDelegate() && <InGroups address={address} />}
                {!isDelegate() && (
                  <li>
                    <Link to={file(a, "pop3.ipmap.tab")}>{t("accounts.ipmap")}</Link>
                  </li>
                )}
                {!isDelegate() && (
                  <li>
                    <Link to={file(a, "mailproc.tab")}>{t("accounts.mailproc")}</Link>
                  </li>
                )}
              </ul>
            </section>
          </>
        )}
      </Loaded>
      {dialog === "password" && <NewPassword domain={domain} name={name} onClose={() => setDialog(null)} />}
      {dialog === "remove" && (
        <FormDialog
          title={t("removed.ask", { what: address })}
          text={t("accounts.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setDialog(null)}
          onSubmit={async () => {
            await removeWithUndo(url(domain, name), address, () => go(route("/accounts", domain, name)));
            go(list);
          }}
        />
      )}
    </Page>
  );
}
