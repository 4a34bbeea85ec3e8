import { useState } from "preact/hooks";
import { post } from "../api";
import { t } from "../i18n";
import { go, route } from "../router";
import { mayWriteAll } from "../session";
import { Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice } from "../ui/parts";
import { useDomains } from "../ui/pieces";

export function Domains() {
  const data = useDomains();
  const [adding, setAdding] = useState<string | null>(null);
  const [search, setSearch] = useState("");
  const fits = (domain: string) => domain.includes(search.trim().toLowerCase());
  return (
    <Page
      title={t("domains.title")}
      actions={
        mayWriteAll() && (
          <Button kind="primary" onClick={() => setAdding("")}>
            {t("domains.add")}
          </Button>
        )
      }
    >
      <p>{t("setup.domains-text")}</p>
      <Loaded data={data}>
        {(rows) => (
          <>
            {rows.length > 10 && (
              <input
                type="search"
                class="search"
                placeholder={t("app.search")}
                aria-label={t("app.search")}
                value={search}
                onInput={(e) => setSearch(e.currentTarget.value)}
              />
            )}
            <Grid label={t("domains.title")} head={[t("domains.name"), t("nav.accounts"), t("nav.lists")]}>
              {rows
                .filter((r) => fits(r.domain))
                .map((r) => (
                  <tr key={r.domain}>
                    <td>
                      <Link to={route("/domains", r.domain)}>{r.domain}</Link>
                    </td>
                    <td>
                      <Link to={"/accounts?domain=" + encodeURIComponent(r.domain)}>{t("domains.accounts")}</Link>
                    </td>
                    <td>
                      <Link to={"/lists?domain=" + encodeURIComponent(r.domain)}>{t("domains.lists")}</Link>
                    </td>
                  </tr>
                ))}
            </Grid>
          </>
        )}
      </Loaded>
      {adding !== null && (
        <FormDialog
          title={t("domains.add")}
          submit={t("app.add")}
          onClose={() => setAdding(null)}
          onSubmit={async () => {
            await post("/domains", { domain: adding });
            notice("good", t("app.done"));
            go(route("/domains", adding));
          }}
        >
          <TextField label={t("domains.name")} help={t("domains.help")} value={adding} onInput={setAdding} required autofocus />
        </FormDialog>
      )}
    </Page>
  );
}
