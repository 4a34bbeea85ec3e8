// One mailing list: members and their rights, who may post, moderation, what members get.
import { useState } from "preact/hooks";
import { ApiError, get, patch, post, remove } from "../api";
import { number, t, type Key } from "../i18n";
import { go, route } from "../router";
import { mayWrite } from "../session";
import { LinesOf, RefusedSenders } from "../ui/lines";
import { Choice, TextArea, type Choices } from "../ui/fields";
import { Button, FormDialog, Grid, Loaded, Page, notice, problem, useData } from "../ui/parts";
import { Pager, Rows, Search, usePieces } from "../ui/pieces";
import { removeWithUndo } from "../ui/removed";
import { VariablesForm } from "../ui/variables";
import { changeRow } from "../ui/table";
import { url, useVariables, type Account } from "./account";

type Member = { address: string; rights: string };

const rightChoices = (): Choices => ["RW", "RA", "R"].map((r) => [r, t(("lists.right." + r) as Key)]);

/** Many at once: one address a line. Those that were members already are counted, the rest goes on. */
function AddMembers(props: { path: string; onClose: () => void; again: () => void }) {
  const [text, setText] = useState("");
  const [rights, setRights] = useState("RW");
  const [wrong, setWrong] = useState<string[]>([]);
  const [at, setAt] = useState("");
  const submit = async () => {
    const left: string[] = [];
    const addresses = text.split(/[\s,;]+/).filter((a) => a !== "");
    let added = 0;
    let already = 0;
    for (const [i, address] of addresses.entries()) {
      if (i % 20 === 0) setAt(t("lists.adding", { n: i, total: addresses.length }));
      try {
        await post(props.path, { address, rights });
        added++;
      } catch (e) {
        if (e instanceof ApiError && e.number === 52) already++;
        else left.push(`${address}: ${problem(e)}`);
      }
    }
    notice("good", t("lists.added", { n: added, already }));
    props.again();
    setAt("");
    setWrong(left);
    if (left.length === 0) return undefined;
    setText(left.map((line) => line.split(": ")[0]).join("\n"));
    return "stay";
  };
  return (
    <FormDialog title={t("lists.add-members")} submit={t("app.add")} onClose={props.onClose} onSubmit={submit}>
      <TextArea label={t("lists.addresses")} help={t("lists.addresses-help")} value={text} onInput={setText} rows={6} required />
      <Choice label={t("lists.rights")} value={rights} choices={rightChoices()} onChange={setRights} />
      {at && <p role="status">{at}</p>}
      {wrong.length > 0 && (
        <ul class="notice bad" role="alert">
          {wrong.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </FormDialog>
  );
}

function Members(props: { domain: string; name: string }) {
  const path = route("/lists", props.domain, props.name, "members");
  const pieces = usePieces<Member>(path);
  const [adding, setAdding] = useState(false);
  const again = pieces.data.again;
  const setRights = async (m: Member, rights: string) => {
    try {
      await changeRow(`domains/${props.domain}/${props.name}/mlusers.tab`, [m.address, m.rights], [m.address, rights]);
      notice("good", t("app.saved"));
    } catch (e) {
      notice("bad", problem(e));
    }
    again();
  };
  const removeMember = async (m: Member) => {
    await remove(path + route("", m.address));
    again();
    const undo = async () => {
      await post(path, m);
      again();
    };
    notice("good", t("removed.done", { what: m.address }), { name: t("removed.undo"), run: undo });
  };
  return (
    <section>
      <h2>{t("lists.members")}</h2>
      <div class="filters">
        <Search pieces={pieces} label={t("lists.search")} />
        {mayWrite() && <Button onClick={() => setAdding(true)}>{t("lists.add-members")}</Button>}
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <Rows pieces={pieces} count={now.rows.length} none={t("lists.no-members")}>
            <p class="quiet" role="status">
              {t("app.count", { n: number(now.total) })}
            </p>
            <Grid label={t("lists.members")} head={[t("lists.address"), t("lists.rights"), t("app.actions")]}>
              {now.rows.map((m) => (
                <tr key={m.address}>
                  <td>{m.address}</td>
                  <td>
                    <select
                      aria-label={t("lists.rights-of", { address: m.address })}
                      value={m.rights}
                      disabled={!mayWrite()}
                      onChange={(e) => setRights(m, e.currentTarget.value)}
                    >
                      {rightChoices().map(([value, name]) => (
                        <option key={value} value={value}>
                          {name}
                        </option>
                      ))}
                    </select>
                  </td>
                  <td>
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => removeMember(m)}>
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

export function ListPage(props: { domain: string; name: string }) {
  const { domain, name } = props;
  const address = `${name}@${domain}`;
  const data = useData(address, () => get<Account>(url(domain, name)), true);
  const rows = useVariables();
  const [removing, setRemoving] = useState(false);
  const lists = "/lists?domain=" + encodeURIComponent(domain);
  return (
    <Page
      title={address}
      up={[
        ["/lists", t("nav.lists")],
        [lists, domain],
      ]}
      actions={
        mayWrite() && (
          <Button kind="danger" onClick={() => setRemoving(true)}>
            {t("app.remove")}
          </Button>
        )
      }
    >
      <Loaded data={data}>
        {(a) => (
          <>
            <Members domain={domain} name={name} />
            <h2>{t("lists.settings")}</h2>
            <Loaded data={rows}>
              {(all) => (
                <VariablesForm
                  rows={all.filter((r) => r.list)}
                  values={a.variables}
                  save={(changes) => patch(url(domain, name), { version: a.version, variables: changes })}
                  again={data.again}
                />
              )}
            </Loaded>
            <section class="card">
              <h2>{t("lists.texts")}</h2>
              <p class="quiet">{t("lists.texts-help")}</p>
              <LinesOf domain={domain} name={name} table="header" label={t("lists.header")} help={t("lists.header-help")} whole />
              <LinesOf domain={domain} name={name} table="footer" label={t("lists.footer")} help={t("lists.footer-help")} whole />
            </section>
            <RefusedSenders domain={domain} name={name} />
          </>
        )}
      </Loaded>
      {removing && (
        <FormDialog
          title={t("removed.ask", { what: address })}
          text={t("lists.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(false)}
          onSubmit={async () => {
            await removeWithUndo(url(domain, name), address, () => go(route("/lists", domain, name)));
            go(lists);
          }}
        />
      )}
    </Page>
  );
}
