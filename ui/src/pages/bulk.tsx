// Many accounts at once: a text is checked, then carried out as a job that can be left; export.
import { useEffect, useState } from "preact/hooks";
import { ApiError, get, post, remove } from "../api";
import { number, t, time, type Key } from "../i18n";
import { messages } from "../messages";
import { param, setParams } from "../router";
import { mayWrite } from "../session";
import { Choice, TextArea } from "../ui/fields";
import { Badge, Button, Field, FormDialog, Grid, Link, Loaded, Page, problem, useData } from "../ui/parts";
import { useDomains } from "../ui/pieces";

type Action = "create" | "change" | "keep" | "remove" | "bad";
type Row = { line: number; action: Action; domain: string; name: string; why: string | null };
type Preview = { counts: Record<Action, number>; rows: Row[] };
type DoneRow = Row & { ok: boolean; password?: string };
type Job = {
  id: number;
  kind: string;
  by: string;
  began: number;
  state: string;
  done: number;
  total: number;
  result?: { done: number; failed: number; rows: DoneRow[] };
};
const actions: Action[] = ["bad", "remove", "create", "change", "keep"];
const actionName = (a: Action) => t(("bulk.action." + a) as Key);
/** The server's reason, in the reader's language where it is known. */
function reason(why: string | null): string {
  const key = "why." + why;
  return key in messages ? t(key as Key) : (why ?? "");
}
const example = "address,password,RealName,MaxMBSize\nhanako@example.jp,,山田 花子,1000000\n";

/** UTF-8; what isn't comes from a spreadsheet in Japan. */
async function readFile(file: File): Promise<string> {
  const octets = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    return new TextDecoder("shift_jis").decode(octets);
  }
}

function Changes(props: { preview: Preview }) {
  const { counts, rows } = props.preview;
  return (
    <>
      <dl class="figures">
        {actions.map((a) => (
          <div key={a} class={"figure" + ((a === "bad" || a === "remove") && counts[a] > 0 ? " warn" : "")}>
            <dt>{actionName(a)}</dt>
            <dd>{number(counts[a])}</dd>
          </div>
        ))}
      </dl>
      {rows.length > 0 && (
        <Grid label={t("bulk.preview")} head={[t("bulk.line"), t("bulk.action"), t("accounts.account"), t("bulk.why")]}>
          {rows.map((r) => (
            <tr key={r.line + r.name + r.domain}>
              <td class="number">{r.line || ""}</td>
              <td>
                <Badge kind={r.action === "bad" || r.action === "remove" ? "bad" : r.action === "keep" ? undefined : "good"}>
                  {actionName(r.action)}
                </Badge>
              </td>
              <td>
                {r.name}@{r.domain}
              </td>
              <td>{reason(r.why)}</td>
            </tr>
          ))}
        </Grid>
      )}
    </>
  );
}

/** Names and the passwords that were made, as a file of this browser. */
function savePasswords(rows: DoneRow[]): void {
  const lines = rows.filter((r) => r.password).map((r) => `${r.name}@${r.domain}\t${r.password}\r\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "text/tab-separated-values" }));
  link.download = "passwords.tsv";
  link.click();
  URL.revokeObjectURL(link.href);
}

function Result(props: { job: Job }) {
  const { result } = props.job;
  if (!result) return null;
  const failed = result.rows.filter((r) => !r.ok);
  const made = result.rows.some((r) => r.password);
  return (
    <>
      <p class={"notice " + (result.failed > 0 ? "bad" : "good")} role="status">
        {t("bulk.result", { done: number(result.done), failed: number(result.failed) })}
      </p>
      {made && (
        <p>
          {t("bulk.passwords")} <Button onClick={() => savePasswords(result.rows)}>{t("bulk.save-passwords")}</Button>
        </p>
      )}
      {failed.length > 0 && (
        <Grid label={t("bulk.failed")} head={[t("bulk.line"), t("accounts.account"), t("bulk.why")]}>
          {failed.map((r) => (
            <tr key={r.line + r.name}>
              <td class="number">{r.line || ""}</td>
              <td>
                {r.name}@{r.domain}
              </td>
              <td>{reason(r.why)}</td>
            </tr>
          ))}
        </Grid>
      )}
    </>
  );
}

function JobCard(props: { id: number; forget: () => void }) {
  const data = useData("job" + props.id, () => get<Job>("/jobs/" + props.id), true);
  const job = data.value;
  const running = job !== undefined && job.result === undefined && job.state === "running";
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(data.again, 700);
    return () => clearInterval(timer);
  }, [running]);
  return (
    <section class="card">
      <h2>{t("bulk.job")}</h2>
      <Loaded data={data}>
        {(j) => (
          <>
            <p class="quiet">{t("bulk.began", { by: j.by, when: time(j.began) })}</p>
            {running && (
              <p class="quota">
                <progress max={j.total} value={j.done} aria-label={t("bulk.job")} />
                <span>
                  {number(j.done)} / {number(j.total)}
                </span>
                <span>{t("bulk.leave")}</span>
              </p>
            )}
            <Result job={j} />
            {mayWrite() && (
              <Button
                onClick={async () => {
                  await remove("/jobs/" + j.id);
                  if (running) data.again();
                  else props.forget();
                }}
              >
                {running ? t("bulk.stop") : t("bulk.forget")}
              </Button>
            )}
          </>
        )}
      </Loaded>
    </section>
  );
}

function Export() {
  const domains = useDomains();
  const [domain, setDomain] = useState(param("domain"));
  const to = (format: string) => `/api/v1/export/users?format=${format}&domain=${encodeURIComponent(domain)}`;
  return (
    <section class="card">
      <h2>{t("bulk.export")}</h2>
      <p>{t("bulk.export-text")}</p>
      <Choice
        label={t("domains.name")}
        value={domain}
        choices={[["", t("domains.all")], ...(domains.value ?? []).map((d): [string, string] => [d.domain, d.domain])]}
        onChange={setDomain}
      />
      <div class="actions">
        <a class="button" href={to("csv")} download="accounts.csv">
          CSV
        </a>
        <a class="button" href={to("tsv")} download="accounts.tsv">
          TSV
        </a>
      </div>
    </section>
  );
}

export function Bulk() {
  const domains = useDomains();
  const jobs = useData("jobs", async () => (await get<Job[]>("/jobs")).filter((j) => j.kind === "import"), true);
  const [text, setText] = useState("");
  const [domain, setDomain] = useState(param("domain"));
  const [mode, setMode] = useState("merge");
  const [preview, setPreview] = useState<Preview | null>(null);
  const [error, setError] = useState("");
  const [asking, setAsking] = useState(false);
  const shown = Number(param("job"));
  const body = (test: boolean) => ({ text, mode, test, domain: domain || (domains.value?.[0]?.domain ?? "") });
  const touched =
    <T,>(set: (value: T) => void) =>
    (value: T) => {
      set(value);
      setPreview(null);
      setError("");
    };
  const check = async () => {
    try {
      setPreview(await post<Preview>("/import/users", body(true)));
      setError("");
    } catch (e) {
      setPreview(null);
      setError(problem(e));
    }
  };
  const start = async () => {
    try {
      const { job } = await post<{ job: number }>("/import/users", body(false));
      setText("");
      setPreview(null);
      setParams({ job: String(job) });
      jobs.again();
    } catch (e) {
      if (!(e instanceof ApiError) || e.status !== 422) throw e;
      await check();
      throw e;
    }
  };
  const work = preview ? preview.counts.create + preview.counts.change + preview.counts.remove : 0;
  const blocked = preview !== null && mode === "replace" && preview.counts.bad > 0;
  return (
    <Page title={t("bulk.title")} up={[["/accounts", t("nav.accounts")]]}>
      {shown > 0 && (
        <JobCard
          key={shown}
          id={shown}
          forget={() => {
            setParams({ job: "" });
            jobs.again();
          }}
        />
      )}
      {mayWrite() && (
        <section class="card">
          <h2>{t("bulk.import")}</h2>
          <p>{t("bulk.columns")}</p>
          <pre tabIndex={0} aria-label={t("bulk.example")}>
            {example}
          </pre>
          <Field label={t("bulk.file")} help={t("bulk.file-help")}>
            {(ids) => (
              <input
                {...ids}
                type="file"
                accept=".csv,.tsv,.txt,text/csv,text/plain,text/tab-separated-values"
                onChange={async (e) => {
                  const file = e.currentTarget.files?.[0];
                  if (file) touched(setText)(await readFile(file));
                }}
              />
            )}
          </Field>
          <TextArea label={t("bulk.text")} value={text} onInput={touched(setText)} rows={8} />
          <Choice
            label={t("bulk.domain")}
            value={domain || (domains.value?.[0]?.domain ?? "")}
            choices={(domains.value ?? []).map((d) => [d.domain, d.domain])}
            onChange={touched(setDomain)}
          />
          <Choice
            label={t("bulk.mode")}
            value={mode}
            choices={[
              ["merge", t("bulk.merge")],
              ["replace", t("bulk.replace")],
            ]}
            onChange={touched(setMode)}
          />
          {error && (
            <p class="notice bad" role="alert">
              {error}
            </p>
          )}
          <div class="actions">
            <Button kind={preview ? undefined : "primary"} disabled={text.trim() === ""} onClick={check}>
              {t("bulk.check")}
            </Button>
            {preview && (
              <Button
                kind="primary"
                disabled={work === 0 || blocked}
                onClick={mode === "replace" ? () => setAsking(true) : start}
              >
                {t("bulk.start")}
              </Button>
            )}
          </div>
          {blocked && <p class="notice bad">{t("bulk.blocked")}</p>}
          {preview && <Changes preview={preview} />}
        </section>
      )}
      <Export />
      <Loaded data={jobs}>
        {(all) => {
          const others = all.filter((j) => j.kind === "import" && j.id !== shown);
          return others.length === 0 ? null : (
            <section class="card">
              <h2>{t("bulk.jobs")}</h2>
              <ul>
                {others.map((j) => (
                  <li key={j.id}>
                    <Link to={"/bulk?job=" + j.id}>
                      {time(j.began)} · {j.by} · {number(j.done)} / {number(j.total)}
                    </Link>
                  </li>
                ))}
              </ul>
            </section>
          );
        }}
      </Loaded>
      {asking && preview && (
        <FormDialog
          title={t("bulk.ask-replace", { n: number(preview.counts.remove) })}
          text={t("bulk.ask-replace-text")}
          submit={t("bulk.start")}
          danger
          onClose={() => setAsking(false)}
          onSubmit={start}
        />
      )}
    </Page>
  );
}
