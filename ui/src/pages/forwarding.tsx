// Forwarding of an account's mail, as mailproc.tab says it.
import { useEffect, useState } from "preact/hooks";
import { ApiError, get, put } from "../api";
import { t } from "../i18n";
import { isDelegate, mayWrite } from "../session";
import { Check, TextArea } from "../ui/fields";
import { Button, Link, Loaded, notice, problem, useData } from "../ui/parts";
import { file, url, type Account } from "./account";

type Form = { version: string; keep: boolean; addresses: string[]; as_account: boolean; others: string[][] };

function Fields(props: { account: Account; form: Form; save: (form: Form) => Promise<unknown> }) {
  const { form } = props;
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(true);
  const [asAccount, setAsAccount] = useState(false);
  useEffect(() => {
    setText(form.addresses.join("\n"));
    setKeep(form.keep);
    setAsAccount(form.as_account);
  }, [form]);
  const addresses = text.split(/[\s,;]+/).filter((a) => a !== "");
  const same = addresses.join() === form.addresses.join() && keep === form.keep && asAccount === form.as_account;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void props.save({ ...form, keep, addresses, as_account: asAccount });
      }}
    >
      <TextArea
        label={t("forward.to")}
        help={t("forward.to-help")}
        value={text}
        onInput={setText}
        rows={3}
        disabled={!mayWrite()}
      />
      <Check
        label={t("forward.keep")}
        help={addresses.length === 0 ? t("forward.keep-must") : undefined}
        value={keep || addresses.length === 0}
        onChange={setKeep}
        disabled={!mayWrite() || addresses.length === 0}
      />
      <Check
        label={t("forward.as-account")}
        help={t("forward.as-account-help")}
        value={asAccount}
        onChange={setAsAccount}
        disabled={!mayWrite() || addresses.length === 0}
      />
      {form.others.length > 0 && (
        <>
          <p>{t("forward.others")}</p>
          <ul>
            {form.others.map((line, i) => (
              <li key={i}>
                <code>{line.join(" ")}</code>
              </li>
            ))}
          </ul>
          {!isDelegate() && (
            <p>
              <Link to={file(props.account, "mailproc.tab")}>{t("accounts.mailproc")}</Link>
            </p>
          )}
        </>
      )}
      {!same && mayWrite() && (
        <div class="actions">
          <Button type="submit" kind="primary">
            {t("app.save")}
          </Button>
        </div>
      )}
    </form>
  );
}

export function Forwarding(props: { account: Account; again: () => void }) {
  const a = props.account;
  const path = url(a.domain, a.name) + "/forwarding";
  const data = useData(path, () => get<Form>(path), true);
  const save = async (f: Form) => {
    try {
      const body = {
        keep: f.keep || f.addresses.length === 0,
        addresses: f.addresses,
        as_account: f.as_account,
        version: f.version,
      };
      await put(path, body);
      notice("good", t("app.saved"));
    } catch (e) {
      const other = e instanceof ApiError && e.code === "changed";
      notice("bad", other ? t("vars.changed") : problem(e));
      if (!other) return;
    }
    data.again();
    props.again();
  };
  return (
    <section class="card">
      <h2>{t("forward.title")}</h2>
      <Loaded data={data}>{(form) => <Fields account={a} form={form} save={save} />}</Loaded>
    </section>
  );
}
