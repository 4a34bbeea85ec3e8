// A message through all filters: what each would do. Programs run; nothing is delivered.
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../api";
import { number, t, type Key } from "../i18n";
import { TextArea } from "../ui/fields";
import { Badge, Button, Loaded, Page, TextField, notice, problem, useData } from "../ui/parts";

type Told = {
  table: string;
  line: number;
  for?: string;
  words: string[];
  reached: boolean;
  skipped?: string;
  code?: number;
  verdict?: string;
  reply?: string;
  last?: boolean;
  sender_told?: boolean;
  fails?: string;
  then?: string;
  output?: string[];
  before?: number;
  after?: number;
  removed?: string[];
  added?: string[];
};
type Result = {
  error?: string;
  sender: string;
  recipients: { address: string; kind: string }[];
  lines: Told[];
  passes: boolean;
};
type State = { running: boolean; result: Result | null };

const LOOK_AGAIN_MS = 500;
const sample = `From: Sender <sender@elsewhere.example>
To: Recipient <recipient@example.com>
Subject: A message that filters may look at
Date: Tue, 1 Dec 2026 12:00:00 +0000
Message-ID: <sample@elsewhere.example>

Hello!
`;

/** What came of a line, in words; its colour. */
function outcome(l: Told): { kind: "good" | "warn" | "bad" | undefined; text: string } {
  if (l.skipped !== undefined) return { kind: undefined, text: t("filter-test.skipped", { why: l.skipped }) };
  if (l.fails !== undefined)
    return { kind: "bad", text: t("filter-test.fails", { why: l.fails }) + " " + t(("filter-test.then." + l.then) as Key) };
  const passes = l.verdict === "goes-on" || l.verdict === "changed";
  const parts = [t(("filter-test.verdict." + l.verdict) as Key)];
  if (l.sender_told) parts.push(t("filter-test.sender-told"));
  if (l.last) parts.push(t("filter-test.last"));
  return { kind: passes ? "good" : l.verdict === "deferred" ? "warn" : "bad", text: parts.join(" ") };
}

function Line({ told }: { told: Told }) {
  const { kind, text } = outcome(told);
  return (
    <section class="card told">
      <h2>
        {told.table}:{told.line} {told.for && t("filter-test.for", { address: told.for })}{" "}
        {!told.reached && <Badge>{t("filter-test.not-reached")}</Badge>}
      </h2>
      <p>
        <code>{told.words.join(" ")}</code>
      </p>
      <p>
        {told.code !== undefined && <code>{told.code} </code>}
        <Badge kind={kind}>{text}</Badge>
      </p>
      {told.reply && <p>{told.reply}</p>}
      {told.output && told.output.length > 0 && (
        <pre tabIndex={0} aria-label={t("filter-test.output")}>
          {told.output.join("\n")}
        </pre>
      )}
      {told.before !== undefined && (
        <>
          <p>{t("filter-test.changes", { before: number(told.before), after: number(told.after ?? 0) })}</p>
          <pre tabIndex={0} aria-label={t("filter-test.changed")} class="diff">
            {told.removed?.map((line, i) => <del key={i}>{"− " + line + "\n"}</del>)}
            {told.added?.map((line, i) => <ins key={i}>{"+ " + line + "\n"}</ins>)}
          </pre>
        </>
      )}
    </section>
  );
}

function Found({ result }: { result: Result }) {
  if (result.error) return <p class="notice bad">{t("filter-test.failed", { why: result.error })}</p>;
  return (
    <>
      <p>
        <Badge kind={result.passes ? "good" : "bad"}>{t(result.passes ? "filter-test.passes" : "filter-test.stays")}</Badge>
      </p>
      <dl class="facts-list">
        <dt>{t("filter-test.from")}</dt>
        <dd>{result.sender || "<>"}</dd>
        <dt>{t("filter-test.to")}</dt>
        <dd>
          {result.recipients.map((r) => (
            <div key={r.address}>
              {r.address} <span class="quiet">({r.kind})</span>
            </div>
          ))}
        </dd>
      </dl>
      {result.lines.length === 0 && <p class="quiet">{t("filter-test.none")}</p>}
      {result.lines.map((l, i) => (
        <Line key={i} told={l} />
      ))}
    </>
  );
}

export function FilterTest() {
  const data = useData("filter-test", () => get<State>("/filter-test"), true);
  const [message, setMessage] = useState(sample);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [client, setClient] = useState("");
  const [auth, setAuth] = useState("");
  const [asked, setAsked] = useState(false);
  const running = data.value?.running ?? false;
  useEffect(() => {
    if (!running) return;
    const timer = setTimeout(data.again, LOOK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [data.value]);
  const run = async () => {
    try {
      const list = to.split(/[\s,]+/).filter((a) => a !== "");
      const body = { message, from: from.trim(), client: client.trim(), auth: auth.trim(), helo: "" };
      await post("/filter-test", list.length > 0 ? { ...body, to: list } : body);
      setAsked(true);
      data.again();
    } catch (e) {
      notice("bad", problem(e));
    }
  };
  return (
    <Page title={t("filter-test.title")} up={[["/filters", t("filters.title")]]}>
      <p>{t("filter-test.text")}</p>
      <form
        class="card"
        onSubmit={(e) => {
          e.preventDefault();
          void run();
        }}
      >
        <TextArea label={t("filter-test.message")} value={message} onInput={setMessage} rows={9} />
        <TextField label={t("filter-test.from")} help={t("filter-test.from-help")} value={from} onInput={setFrom} />
        <TextField label={t("filter-test.to")} help={t("filter-test.to-help")} value={to} onInput={setTo} />
        <TextField label={t("filter-test.client")} placeholder="127.0.0.1" value={client} onInput={setClient} />
        <TextField label={t("filter-test.auth")} help={t("filter-test.auth-help")} value={auth} onInput={setAuth} />
        <div class="actions">
          <Button type="submit" kind="primary" disabled={running}>
            {t("filter-test.run")}
          </Button>
        </div>
      </form>
      <Loaded data={data}>
        {(s) => (
          <div aria-live="polite">
            {s.running && <p>{t("filter-test.running")}</p>}
            {!s.running && s.result && <Found result={s.result} />}
            {!s.running && !s.result && asked && <p class="notice bad">{t("filter-test.ended")}</p>}
          </div>
        )}
      </Loaded>
    </Page>
  );
}
