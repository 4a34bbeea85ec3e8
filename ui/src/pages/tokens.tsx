// Tokens for programs that use the API.
import { useState } from "preact/hooks";
import { get, post, remove } from "../api";
import { t, time } from "../i18n";
import { route } from "../router";
import { isDelegate, session } from "../session";
import { Choice, MadeDialog } from "../ui/fields";
import { Button, FormDialog, Grid, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { rightChoices } from "./admins";

type Token = { id: string; name: string; by: string; right: string; areas: string; created: number; expires: number };
const order = ["viewer", "admin", "owner"];
/* One of some domains may give all that he may. */
const ownRight = () => (isDelegate() ? "admin" : (session.value?.right ?? "viewer"));

function Add(props: { onClose: () => void; again: () => void }) {
  const [name, setName] = useState("");
  const [right, setRight] = useState("viewer");
  const [areas, setAreas] = useState("");
  const [days, setDays] = useState("90");
  const [token, setToken] = useState<string | null>(null);
  if (token !== null)
    return <MadeDialog title={t("tokens.made")} text={t("tokens.once")} password={token} onClose={props.onClose} />;
  const own = order.indexOf(ownRight());
  return (
    <FormDialog
      title={t("tokens.add")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        const body = { name, right, areas: areas.split(/[\s,]+/).filter((a) => a !== ""), days: Number(days) || 0 };
        setToken((await post<{ token: string }>("/tokens", body)).token);
        props.again();
        return "stay";
      }}
    >
      <TextField label={t("tokens.name")} value={name} onInput={setName} required autofocus />
      <Choice label={t("admins.right")} value={right} choices={rightChoices().slice(0, own + 1)} onChange={setRight} />
      <TextField label={t("tokens.areas")} help={t("tokens.areas-help")} value={areas} onInput={setAreas} />
      <TextField label={t("tokens.days")} help={t("tokens.days-help")} type="number" value={days} onInput={setDays} />
    </FormDialog>
  );
}

export function Tokens() {
  const data = useData("tokens", () => get<Token[]>("/tokens"), true);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Token | null>(null);
  return (
    <Page
      title={t("tokens.title")}
      actions={
        <Button kind="primary" onClick={() => setAdding(true)}>
          {t("tokens.add")}
        </Button>
      }
    >
      <p>
        {t("tokens.text")} <a href="/api/v1/openapi.json">openapi.json</a>
      </p>
      <Loaded data={data}>
        {(rows) =>
          rows.length === 0 ? (
            <p class="quiet">{t("tokens.none")}</p>
          ) : (
            <Grid
              label={t("tokens.title")}
              head={[
                t("tokens.name"),
                t("tokens.by"),
                t("admins.right"),
                t("tokens.areas"),
                t("tokens.expires"),
                t("app.actions"),
              ]}
            >
              {rows.map((r) => (
                <tr key={r.id}>
                  <td>{r.name}</td>
                  <td>{r.by}</td>
                  <td>{r.right}</td>
                  <td>{r.areas || t("tokens.all")}</td>
                  <td>{r.expires > 0 ? time(r.expires) : t("tokens.never")}</td>
                  <td>
                    <Button kind="danger" onClick={() => setRemoving(r)}>
                      {t("tokens.revoke")}
                    </Button>
                  </td>
                </tr>
              ))}
            </Grid>
          )
        }
      </Loaded>
      {adding && <Add onClose={() => setAdding(false)} again={data.again} />}
      {removing && (
        <FormDialog
          title={t("tokens.ask", { name: removing.name })}
          text={t("tokens.ask-text")}
          submit={t("tokens.revoke")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove(route("/tokens", removing.id));
            notice("good", t("app.done"));
            data.again();
          }}
        />
      )}
    </Page>
  );
}
