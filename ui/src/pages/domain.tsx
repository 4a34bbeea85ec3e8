// One domain: what is in it, its other names, what new accounts get.
import { useState } from "preact/hooks";
import { get, patch } from "../api";
import { number, t } from "../i18n";
import { go, route } from "../router";
import { isDelegate, mayWrite, mayWriteAll } from "../session";
import { Along } from "../ui/along";
import { Button, FormDialog, Link, Loaded, Page, useData } from "../ui/parts";
import { removeWithUndo } from "../ui/removed";
import { tablePage, tableUrl, type Change, type Rows } from "../ui/table";
import { VariablesForm, type Changes } from "../ui/variables";
import { useVariables } from "./account";

function Count(props: { name: string; to: string; url: string }) {
  const data = useData(props.url, () => get<{ total: number }>(props.url));
  return (
    <div class="figure">
      <dt>{props.name}</dt>
      <dd>
        <Link to={props.to}>{data.value ? number(data.value.total) : "…"}</Link>
      </dd>
    </div>
  );
}

/** userdef.tab of the domain, as the same form that an account has. */
function Defaults({ domain }: { domain: string }) {
  const path = tableUrl(`domains/${domain}/userdef.tab`);
  const data = useData(path, () => get<Rows>(path + "?limit=1000"), true);
  const rows = useVariables();
  const save = (now: Rows, changes: Changes) => {
    const list: Change[] = Object.entries(changes).flatMap(([name, value]): Change[] => {
      const line = now.rows.find((r) => r.values[0]?.toLowerCase() === name.toLowerCase());
      if (value === null) return line ? [{ op: "remove", line: line.line, old: line.values }] : [];
      const values = [name, value];
      return [line ? { op: "set", line: line.line, old: line.values, values } : { op: "add", values }];
    });
    // From the end, so that the numbers of the lines before stay true.
    list.sort((a, b) => ("line" in b ? b.line : 0) - ("line" in a ? a.line : 0));
    return patch(path, { version: now.version, changes: list });
  };
  return (
    <>
      <h2>{t("domain.defaults")}</h2>
      <p>{t("domain.defaults-text")}</p>
      <Loaded data={data}>
        {(now) => (
          <Loaded data={rows}>
            {(all) => (
              <VariablesForm
                rows={all.filter((r) => r.user)}
                values={Object.fromEntries(now.rows.map((r) => [r.values[0] ?? "", r.values[1] ?? ""]))}
                save={(changes) => save(now, changes)}
                again={data.again}
              />
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

export function DomainPage({ domain }: { domain: string }) {
  const of = "domain=" + encodeURIComponent(domain);
  const [removing, setRemoving] = useState(false);
  const names = useData("alias-domains" + domain, () =>
    isDelegate()
      ? Promise.resolve({ rows: [] })
      : get<{ rows: { domain: string; alias: string }[] }>("/alias-domains?limit=1000&search=" + encodeURIComponent(domain)),
  );
  return (
    <Page
      title={domain}
      up={[["/domains", t("nav.domains")]]}
      actions={
        mayWriteAll() && (
          <Button kind="danger" onClick={() => setRemoving(true)}>
            {t("app.remove")}
          </Button>
        )
      }
    >
      <dl class="figures">
        <Count name={t("nav.accounts")} to={"/accounts?" + of} url={`/users?limit=1&${of}`} />
        <Count name={t("nav.lists")} to={"/lists?" + of} url={`/lists?limit=1&${of}`} />
      </dl>
      <section class="card">
        <h2>{t("accounts.more")}</h2>
        <ul>
          <li>
            <Link to={"/aliases?search=" + encodeURIComponent(domain)}>{t("domain.aliases")}</Link>
          </li>
          {!isDelegate() && (
            <li>
              <Link to="/aliases?kind=domain">{t("domain.names")}</Link>
              {names.value && (
                <>
                  {": "}
                  {names.value.rows
                    .filter((r) => r.domain === domain)
                    .map((r) => r.alias)
                    .join(", ") || t("app.none")}
                </>
              )}
            </li>
          )}
          <li>
            <Link to={route("/domains", domain, "dns")}>{t("dns.title")}</Link>
          </li>
          {!isDelegate() && (
            <li>
              <Link to={tablePage(`domains/${domain}/mailproc.tab`)}>{t("domain.mailproc")}</Link>
            </li>
          )}
        </ul>
      </section>
      <Along path={route("/domains", domain)} writable={mayWrite()} />
      {!isDelegate() && <Defaults domain={domain} />}
      {removing && (
        <FormDialog
          title={t("domains.remove", { domain })}
          text={t("domains.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(false)}
          onSubmit={async () => {
            await removeWithUndo(route("/domains", domain), domain, () => go(route("/domains", domain)));
            go("/domains");
          }}
        />
      )}
    </Page>
  );
}
