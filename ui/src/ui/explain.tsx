// What would happen to a client: the question as a form, and the answer.
import { useState } from "preact/hooks";
import { get } from "../api";
import { either, t, type Key } from "../i18n";
import { said } from "../said";
import { Check, Choice, type Choices } from "./fields";
import { Badge, Button, Grid, Link, TextField, notice, problem } from "./parts";
import { tablePage } from "./table";

type Step = {
  stage: string;
  gate: string;
  action: "pass" | "note" | "slow" | "login" | "refuse";
  source: string;
  line: number;
  detail?: string;
  en?: string;
  ja?: string;
  reply?: string;
  seconds?: number;
};
type Answer = { allowed: boolean; recipient: string; steps: Step[] };
export type Question = { client: string; service: string; from: string; to: string; login: string; tls: string };

const services: Choices = [
  ["smtp", "SMTP"],
  ["submission", "SMTP (submission)"],
  ["pop3", "POP3"],
  ["ctrl", "CTRL"],
  ["http", "HTTP"],
  ["finger", "FINGER"],
];
export const emptyQuestion: Question = { client: "", service: "smtp", from: "", to: "", login: "", tls: "" };

function Source({ step }: { step: Step }) {
  if (!step.source) return null;
  const where = step.line > 0 ? `${step.source}, ${t("explain.line", { n: step.line })}` : step.source;
  if (step.source.endsWith(".tab")) return <Link to={tablePage(step.source)}>{where}</Link>;
  return <Link to={"/settings?search=" + encodeURIComponent(step.source)}>{where}</Link>;
}

function Verdict({ answer }: { answer: Answer }) {
  const last = answer.steps.find((s) => s.action === "refuse");
  if (answer.allowed) return <>{t("explain.allowed")}</>;
  if (last?.reply) return <>{t("explain.refused", { reply: last.reply })}</>;
  return <>{last ? t("explain.refused-table") : t("explain.unknown-user")}</>;
}

const kinds = { pass: "good", note: undefined, slow: "warn", login: "warn", refuse: "bad" } as const;

function Steps({ answer }: { answer: Answer }) {
  const head = [t("explain.stage"), t("explain.gate"), t("explain.result"), t("explain.why")];
  return (
    <div role="status">
      <p class={"notice " + (answer.allowed ? "good" : "bad")}>
        <Verdict answer={answer} />
      </p>
      {answer.recipient !== "" && (
        <p>{t("explain.recipient", { what: t(("explain.recipient." + answer.recipient) as Key) })}</p>
      )}
      <Grid label={t("explain.steps")} head={head}>
        {answer.steps.map((s, i) => (
          <tr key={i}>
            <td>{t(("explain.stage." + s.stage) as Key)}</td>
            <td>
              <strong>{s.gate}</strong>
              {s.en && s.ja && <div class="quiet">{either({ en: s.en, ja: s.ja })}</div>}
            </td>
            <td>
              <Badge kind={kinds[s.action]}>
                {t(("explain.action." + s.action) as Key)}
                {s.seconds !== undefined && " " + t("explain.seconds", { n: s.seconds })}
              </Badge>
            </td>
            <td>
              <Source step={s} />
              {s.detail && <div>{said(s.detail)}</div>}
              {s.reply && <code>{s.reply}</code>}
            </td>
          </tr>
        ))}
      </Grid>
    </div>
  );
}

/** fields: those that are asked for; the others stay as `first` has them. asked: told when somebody asks. */
export function ExplainForm(props: {
  first: Question;
  fields: (keyof Question)[];
  asked?: (question: Question) => void;
}) {
  const [question, setQuestion] = useState(props.first);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const set = (name: keyof Question) => (value: string) => setQuestion({ ...question, [name]: value });
  const mail = question.service === "smtp" || question.service === "submission";
  const shows = (name: keyof Question) =>
    props.fields.includes(name) && (mail || name === "client" || name === "service");
  const ask = async () => {
    try {
      setAnswer(await get<Answer>("/explain?" + new URLSearchParams(question).toString()));
      props.asked?.(question);
    } catch (e) {
      setAnswer(null);
      notice("bad", problem(e));
    }
  };
  const line = (name: "client" | "from" | "to" | "login", required = false) =>
    shows(name) && (
      <TextField
        label={t(("explain." + name) as Key)}
        help={t(("explain." + name + "-help") as Key)}
        value={question[name]}
        onInput={set(name)}
        required={required}
      />
    );
  return (
    <>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void ask();
        }}
      >
        <div class="columns">
          {line("client", true)}
          {shows("service") && (
            <Choice label={t("explain.service")} value={question.service} choices={services} onChange={set("service")} />
          )}
          {line("from")}
          {line("to")}
          {line("login")}
        </div>
        {shows("tls") && (
          <Check label={t("explain.tls")} value={question.tls === "1"} onChange={(on) => set("tls")(on ? "1" : "")} />
        )}
        <div class="actions">
          <Button type="submit" kind="primary">
            {t("explain.ask")}
          </Button>
        </div>
      </form>
      {answer && <Steps answer={answer} />}
    </>
  );
}

/** Which question belongs beside which table. */
const beside: Record<string, { service: string; fields: (keyof Question)[] }> = {
  "smtp.ipmap.tab": { service: "smtp", fields: ["client"] },
  "pop3.ipmap.tab": { service: "pop3", fields: ["client"] },
  "ctrl.ipmap.tab": { service: "ctrl", fields: ["client"] },
  "http.ipmap.tab": { service: "http", fields: ["client"] },
  "finger.ipmap.tab": { service: "finger", fields: ["client"] },
  "spammers.tab": { service: "smtp", fields: ["client"] },
  "smtp.ipprop.tab": { service: "smtp", fields: ["client", "from"] },
  "smtp.hnprop.tab": { service: "smtp", fields: ["client", "from"] },
  "spam-address.tab": { service: "smtp", fields: ["client", "from"] },
  "limits.tab": { service: "smtp", fields: ["client", "from", "login"] },
  "smtprelay.tab": { service: "smtp", fields: ["client", "from", "to"] },
};

/** A small form beside a table that decides about clients. */
export function ExplainBeside({ table }: { table: string }) {
  const row = beside[table];
  if (!row) return null;
  return (
    <section class="card beside">
      <h2>{t("explain.title")}</h2>
      <ExplainForm first={{ ...emptyQuestion, service: row.service }} fields={row.fields} />
      <p>
        <Link to={"/explain?service=" + row.service}>{t("explain.more")}</Link>
      </p>
    </section>
  );
}
