// What goes along with the mail of an account, a domain or a group: answers, notices, copies.
import { useEffect, useState } from "preact/hooks";
import { get, put } from "../api";
import { t } from "../i18n";
import { Check, TextArea } from "./fields";
import { Button, Loaded, TextField, notice, problem, useData } from "./parts";

type Reply = { first: string; last: string; days: number; subject: string; text: string };
type Form = { version: string; reply: Reply | null; notices: string[]; copies: string[]; message_id: boolean };

const fresh: Reply = { first: "", last: "", days: 7, subject: "", text: "" };
const lines = (text: string) => text.split(/[\s,;]+/).filter((a) => a !== "");

function ReplyFields(props: { reply: Reply; change: (reply: Reply) => void }) {
  const set = (part: Partial<Reply>) => props.change({ ...props.reply, ...part });
  const { reply } = props;
  return (
    <fieldset>
      <legend>{t("along.reply")}</legend>
      <div class="columns">
        <TextField type="date" label={t("along.first")} value={reply.first} onInput={(first) => set({ first })} />
        <TextField type="date" label={t("along.last")} help={t("groups.days-help")} value={reply.last} onInput={(last) => set({ last })} />
        <TextField type="number" label={t("along.days")} value={String(reply.days)} onInput={(n) => set({ days: Number(n) })} required />
      </div>
      <TextField label={t("along.subject")} help={t("along.subject-help")} value={reply.subject} onInput={(subject) => set({ subject })} />
      <TextArea label={t("along.body")} value={reply.text} onInput={(text) => set({ text })} rows={6} required />
    </fieldset>
  );
}

function Fields(props: { form: Form; writable: boolean; save: (form: Form) => Promise<unknown> }) {
  const { form } = props;
  const [reply, setReply] = useState<Reply | null>(form.reply);
  const [notices, setNotices] = useState("");
  const [copies, setCopies] = useState("");
  const [id, setId] = useState(false);
  useEffect(() => {
    setReply(form.reply);
    setNotices(form.notices.join("\n"));
    setCopies(form.copies.join("\n"));
    setId(form.message_id);
  }, [form]);
  const now: Form = { version: form.version, reply, notices: lines(notices), copies: lines(copies), message_id: id };
  const same = JSON.stringify(now) === JSON.stringify(form);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void props.save(now);
      }}
    >
      <fieldset disabled={!props.writable}>
        <Check
          label={t("along.reply")}
          help={t("along.reply-help")}
          value={reply !== null}
          onChange={(on) => setReply(on ? (form.reply ?? fresh) : null)}
        />
        {reply !== null && <ReplyFields reply={reply} change={setReply} />}
        <TextArea label={t("along.notices")} help={t("along.notices-help")} value={notices} onInput={setNotices} rows={2} />
        <TextArea label={t("along.copies")} help={t("along.copies-help")} value={copies} onInput={setCopies} rows={2} />
        <Check label={t("along.message-id")} help={t("along.message-id-help")} value={id} onChange={setId} />
      </fieldset>
      {!same && props.writable && (
        <div class="actions">
          <Button type="submit" kind="primary">
            {t("app.save")}
          </Button>
        </div>
      )}
    </form>
  );
}

/** path: of the API, without /handling. */
export function Along(props: { path: string; writable: boolean; again?: () => void }) {
  const path = props.path + "/handling";
  const data = useData(path, () => get<Form>(path), true);
  const save = async (form: Form) => {
    try {
      await put(path, form);
      notice("good", t("app.saved"));
      data.again();
      props.again?.();
    } catch (e) {
      notice("bad", problem(e));
    }
  };
  return (
    <section class="card">
      <h2>{t("along.title")}</h2>
      <p class="quiet">{t("along.text")}</p>
      <Loaded data={data}>{(form) => <Fields form={form} writable={props.writable} save={save} />}</Loaded>
    </section>
  );
}
