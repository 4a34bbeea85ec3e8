// Mailboxes elsewhere that are fetched for an account.
import { useState } from "preact/hooks";
import { get, post, put, remove } from "../api";
import { t } from "../i18n";
import { mayWrite } from "../session";
import { Check, Choice } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Loaded, TextField, notice, useData } from "../ui/parts";
import { route } from "../router";
import { url } from "./account";

type Row = { server: string; remote_user: string; options: string; state: "ON" | "OFF" };

function Add(props: { path: string; onClose: () => void; done: () => void }) {
  const [server, setServer] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [how, setHow] = useState("POP3S");
  const [leave, setLeave] = useState(false);
  return (
    <FormDialog
      title={t("links.add")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post(props.path, { server, remote_user: user, password, options: leave ? how + ",Leave" : how });
        notice("good", t("app.saved"));
        props.done();
      }}
    >
      <TextField label={t("links.server")} help={t("links.server-help")} value={server} onInput={setServer} required autofocus />
      <TextField label={t("links.user")} value={user} onInput={setUser} required />
      <TextField
        label={t("signin.password")}
        type="password"
        autocomplete="new-password"
        value={password}
        onInput={setPassword}
        required
      />
      <Choice
        label={t("links.how")}
        value={how}
        onChange={setHow}
        choices={[
          ["POP3S", t("links.POP3S")],
          ["FSTLS", t("links.FSTLS")],
          ["STLS", t("links.STLS")],
          ["APOP", t("links.APOP")],
          ["CLR", t("links.CLR")],
        ]}
      />
      <Check label={t("links.leave")} value={leave} onChange={setLeave} />
    </FormDialog>
  );
}

export function PopLinks(props: { domain: string; name: string }) {
  const path = url(props.domain, props.name) + "/links";
  const data = useData(path, () => get<Row[]>(path), true);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Row | null>(null);
  const one = (r: Row) => path + route("", r.server, r.remote_user);
  return (
    <section class="card">
      <h2>{t("links.title")}</h2>
      <p class="quiet">{t("links.text")}</p>
      <Loaded data={data}>
        {(rows) =>
          rows.length === 0 ? (
            <p class="quiet">{t("links.none")}</p>
          ) : (
            <Grid
              label={t("links.title")}
              head={[t("links.server"), t("links.user"), t("links.how"), t("links.state"), t("app.actions")]}
            >
              {rows.map((r) => (
                <tr key={r.server + r.remote_user}>
                  <td>{r.server}</td>
                  <td>{r.remote_user}</td>
                  <td>{r.options}</td>
                  <td>
                    <Badge kind={r.state === "ON" ? "good" : "warn"}>{r.state === "ON" ? t("app.on") : t("app.off")}</Badge>
                  </td>
                  <td class="actions">
                    {mayWrite() && (
                      <>
                        <Button
                          kind="quiet"
                          onClick={async () => {
                            await put(one(r), { on: r.state === "ON" ? "0" : "1" });
                            data.again();
                          }}
                        >
                          {r.state === "ON" ? t("links.off") : t("links.on")}
                        </Button>
                        <Button kind="danger" onClick={() => setRemoving(r)}>
                          {t("app.remove")}
                        </Button>
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </Grid>
          )
        }
      </Loaded>
      {mayWrite() && (
        <div class="actions">
          <Button onClick={() => setAdding(true)}>{t("links.add")}</Button>
        </div>
      )}
      {adding && <Add path={path} onClose={() => setAdding(false)} done={data.again} />}
      {removing && (
        <FormDialog
          title={t("links.remove")}
          text={`${removing.remote_user} · ${removing.server}`}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove(one(removing));
            notice("good", t("app.done"));
            data.again();
          }}
        />
      )}
    </section>
  );
}
