// The administrators: for owners.
import { useState } from "preact/hooks";
import { get, patch, post, remove } from "../api";
import { t, type Key } from "../i18n";
import { route } from "../router";
import { session } from "../session";
import { Choice, MadeDialog, PasswordField, type Choices } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice, problem, useData } from "../ui/parts";

type Admin = { name: string; right: string; second_factor: boolean; recovery_codes: number };
export const rightChoices = (): Choices => ["viewer", "admin", "owner"].map((r) => [r, t(("admins.right." + r) as Key)]);

/** A new one, or another password for one that is there; an empty password is made and shown once. */
function Form(props: { admin: Admin | null; onClose: () => void; again: () => void }) {
  const [name, setName] = useState(props.admin?.name ?? "");
  const [right, setRight] = useState("admin");
  const [password, setPassword] = useState("");
  const [made, setMade] = useState<string | null>(null);
  if (made !== null)
    return (
      <MadeDialog
        title={t("password.made", { address: name })}
        text={t("password.once")}
        password={made}
        onClose={props.onClose}
      />
    );
  const submit = async () => {
    const answer = props.admin
      ? await patch<{ password: string | null }>(route("/admins", name), { password })
      : await post<{ password: string | null }>("/admins", { name, right, ...(password ? { password } : {}) });
    notice("good", t("app.saved"));
    props.again();
    if (!answer?.password) return undefined;
    setMade(answer.password);
    return "stay";
  };
  return (
    <FormDialog
      title={props.admin ? t("password.of", { address: name }) : t("admins.add")}
      submit={props.admin ? t("password.set") : t("app.add")}
      onClose={props.onClose}
      onSubmit={submit}
    >
      {!props.admin && (
        <>
          <TextField label={t("signin.name")} value={name} onInput={setName} required autofocus />
          <Choice label={t("admins.right")} value={right} choices={rightChoices()} onChange={setRight} />
        </>
      )}
      <PasswordField value={password} onInput={setPassword} name={name} help={t("password.empty-help")} optional />
    </FormDialog>
  );
}

export function Admins() {
  const data = useData("admins", () => get<Admin[]>("/admins"), true);
  const [form, setForm] = useState<Admin | "new" | null>(null);
  const [removing, setRemoving] = useState<Admin | null>(null);
  const change = async (a: Admin, body: object) => {
    try {
      await patch(route("/admins", a.name), body);
      notice("good", t("app.saved"));
    } catch (e) {
      notice("bad", problem(e));
    }
    data.again();
  };
  return (
    <Page
      title={t("admins.title")}
      actions={
        <Button kind="primary" onClick={() => setForm("new")}>
          {t("admins.add")}
        </Button>
      }
    >
      <p>{t("admins.text")}</p>
      <Loaded data={data}>
        {(rows) => (
          <Grid label={t("admins.title")} head={[t("signin.name"), t("admins.right"), t("factor.title"), t("app.actions")]}>
            {rows.map((a) => (
              <tr key={a.name + a.right}>
                <td>
                  {a.name} {a.name === session.value?.name && <Badge kind="good">{t("admins.you")}</Badge>}
                </td>
                <td>
                  {a.right === "domain" ? (
                    <Link to="/delegates">{t("delegates.title")}</Link>
                  ) : (
                    <select
                      aria-label={t("admins.right-of", { name: a.name })}
                      value={a.right}
                      onChange={(e) => change(a, { right: e.currentTarget.value })}
                    >
                      {rightChoices().map(([value, name]) => (
                        <option key={value} value={value}>
                          {name}
                        </option>
                      ))}
                    </select>
                  )}
                </td>
                <td>{a.second_factor ? t("admins.factor-on", { n: a.recovery_codes }) : t("app.none")}</td>
                <td class="actions">
                  <Button kind="quiet" onClick={() => setForm(a)}>
                    {t("password.change")}
                  </Button>
                  {a.second_factor && (
                    <Button kind="quiet" onClick={() => change(a, { second_factor: false })}>
                      {t("factor.remove")}
                    </Button>
                  )}
                  <Button kind="danger" onClick={() => setRemoving(a)}>
                    {t("app.remove")}
                  </Button>
                </td>
              </tr>
            ))}
          </Grid>
        )}
      </Loaded>
      {form && <Form admin={form === "new" ? null : form} onClose={() => setForm(null)} again={data.again} />}
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
