// Mailing lists of a domain, or of all; a new one.
import { useState } from "preact/hooks";
import { post } from "../api";
import { number, t } from "../i18n";
import { go, param, route } from "../router";
import { mayWrite } from "../session";
import { Check, Choice } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice } from "../ui/parts";
import { DomainChoice, Pager, Rows, Search, useDomains, usePieces, type DomainRow } from "../ui/pieces";

type Row = { domain: string; name: string; real_name?: string; receive?: boolean };

function NewList(props: { domains: DomainRow[]; onClose: () => void }) {
  const [domain, setDomain] = useState(param("domain") || props.domains[0]?.domain || "");
  const [name, setName] = useState("");
  const [about, setAbout] = useState("");
  const [closed, setClosed] = useState(true);
  return (
    <FormDialog
      title={t("lists.add")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post("/lists", { domain, name, variables: { RealName: about, ClosedML: closed ? "1" : "0" } });
        notice("good", t("accounts.made", { address: `${name}@${domain}` }));
        go(route("/lists", domain, name));
      }}
    >
      <TextField label={t("accounts.name")} help={t("accounts.name-help")} value={name} onInput={setName} required autofocus />
      <Choice
        label={t("domains.name")}
        value={domain}
        choices={props.domains.map((d) => [d.domain, d.domain])}
        onChange={setDomain}
      />
      <TextField label={t("lists.about")} value={about} onInput={setAbout} />
      <Check label={t("var.ClosedML")} value={closed} onChange={setClosed} />
    </FormDialog>
  );
}

export function Lists() {
  const domain = param("domain");
  const domains = useDomains();
  const pieces = usePieces<Row>("/lists?domain=" + encodeURIComponent(domain));
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={domain ? t("lists.of", { domain }) : t("lists.title")}
      up={domain ? [[route("/domains", domain), domain]] : undefined}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)} disabled={!domains.value?.length}>
            {t("lists.add")}
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
          <Rows pieces={pieces} count={now.rows.length} none={t("lists.none")}>
            <p class="quiet" role="status">
              {t("app.count", { n: number(now.total) })}
            </p>
            <Grid label={t("lists.title")} head={[t("lists.list"), t("lists.about")]}>
              {now.rows.map((r) => (
                <tr key={r.name + "@" + r.domain}>
                  <td>
                    <Link to={route("/lists", r.domain, r.name)}>
                      {r.name}
                      <wbr />
                      <span class="quiet">@{r.domain}</span>
                    </Link>{" "}
                    {r.receive === false && <Badge kind="bad">{t("accounts.no-receive")}</Badge>}
                  </td>
                  <td>{r.real_name === "??" ? "" : r.real_name}</td>
                </tr>
              ))}
            </Grid>
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </Rows>
        )}
      </Loaded>
      {adding && domains.value && <NewList domains={domains.value} onClose={() => setAdding(false)} />}
    </Page>
  );
}
