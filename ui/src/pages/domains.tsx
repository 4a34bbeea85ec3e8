import { useState } from "preact/hooks";
import { get, post, remove } from "../api";
import { t } from "../i18n";
import { mayWrite } from "../session";
import { Button, FormDialog, Grid, Loaded, Page, TextField, notice, useData } from "../ui/parts";

type Row = { domain: string };

export function Domains() {
  const data = useData("domains", () => get<Row[]>("/domains"));
  const [adding, setAdding] = useState<string | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const done = () => {
    notice("good", t("app.done"));
    data.again();
  };
  return (
    <Page
      title={t("domains.title")}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding("")}>
            {t("domains.add")}
          </Button>
        )
      }
    >
      <Loaded data={data}>
        {(rows) => (
          <Grid label={t("domains.title")} head={[t("domains.name"), t("app.actions")]}>
            {rows.map((r) => (
              <tr key={r.domain}>
                <td>{r.domain}</td>
                <td>
                  {mayWrite() && (
                    <Button kind="danger" onClick={() => setRemoving(r.domain)}>
                      {t("app.remove")}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </Grid>
        )}
      </Loaded>
      {adding !== null && (
        <FormDialog
          title={t("domains.add")}
          submit={t("app.add")}
          onClose={() => setAdding(null)}
          onSubmit={async () => {
            await post("/domains", { domain: adding });
            done();
          }}
        >
          <TextField label={t("domains.name")} help={t("domains.help")} value={adding} onInput={setAdding} required autofocus />
        </FormDialog>
      )}
      {removing !== null && (
        <FormDialog
          title={t("domains.remove", { domain: removing })}
          text={t("domains.remove-text")}
          submit={t("app.remove")}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await remove("/domains/" + encodeURIComponent(removing));
            done();
          }}
        />
      )}
    </Page>
  );
}
