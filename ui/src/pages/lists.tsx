// Mailing lists of a domain, or of all; a new one.
import { useState } from "preact/hooks";
import { post } from "../api";
import { t } from "../i18n";
import { go, param, route } from "../router";
import { AddressList, type AddressRow } from "../ui/addresses";
import { Check, Choice } from "../ui/fields";
import { FormDialog, TextField, notice } from "../ui/parts";
import { usePieces, type DomainRow } from "../ui/pieces";

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
  const pieces = usePieces<AddressRow>("/lists?domain=" + encodeURIComponent(param("domain")));
  return (
    <AddressList
      pieces={pieces}
      base="/lists"
      words={{ title: "lists.title", of: "lists.of", add: "lists.add", none: "lists.none", count: "app.count" }}
      head={[t("lists.list"), t("lists.about")]}
      form={(domains, close) => <NewList domains={domains} onClose={close} />}
    />
  );
}
