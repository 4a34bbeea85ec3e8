// An account was stolen and floods the queue: see it, stop it, keep its mail apart, decide.
import { useEffect, useState } from "preact/hooks";
import { get, post, put, remove } from "../api";
import { number, t, time } from "../i18n";
import { param, setParams } from "../router";
import { mayWrite } from "../session";
import { MadePassword, TextArea, size } from "../ui/fields";
import { Badge, Button, Dialog, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { followJob } from "./queue";

type Sender = {
  account: string;
  entries: number;
  recipients: number;
  size: number;
  held: number;
  oldest: number;
  newest: number;
  clients: { client: string; count: number }[];
  other_clients: number;
  senders: { address: string; count: number }[];
  other_senders: number;
};
type Held = { kind: string; who: string; action: string };
type Job = { id: number; kind: string; about: string; state: string; begins: number; done: number; total: number };
type Known = { senders: Sender[]; held: Held[]; jobs: Job[] };

/** From so many recipients on an account is marked. */
const MANY = 100;
const DELETE_AFTER = 600;
const RELEASE_AFTER = 60;

const isStopped = (known: Known, account: string) =>
  known.held.some((h) => h.action === "stop" && h.who === account.toLowerCase());
const path = (account: string) => {
  const at = account.lastIndexOf("@");
  return at < 0 ? null : `/users/${encodeURIComponent(account.slice(at + 1))}/${encodeURIComponent(account.slice(0, at))}`;
};

async function load(): Promise<Known> {
  const [senders, held, jobs] = await Promise.all([
    get<{ rows: Sender[] }>("/queue/senders?limit=50"),
    get<Held[]>("/limits"),
    get<Job[]>("/jobs"),
  ]);
  return { senders: senders.rows, held, jobs: jobs.filter((j) => j.kind.startsWith("queue-") && j.state === "running") };
}

function Counted(props: { list: [string, number][]; others: number }) {
  return (
    <ul class="plain">
      {props.list.map(([name, count]) => (
        <li key={name}>
          {name || t("queue.null")} <span class="quiet">{t("queue.times", { n: number(count) })}</span>
        </li>
      ))}
      {props.others > 0 && <li>{t("queue.more", { n: number(props.others) })}</li>}
    </ul>
  );
}

function Senders(props: { known: Known }) {
  const rows = props.known.senders.filter((s) => s.account !== "");
  if (rows.length === 0) return <p class="quiet">{t("emergency.none")}</p>;
  return (
    <Grid
      label={t("emergency.senders")}
      head={[t("accounts.account"), t("queue.entries"), t("queue.recipients"), t("queue.held"), t("emergency.clients"), t("emergency.when")]}
    >
      {rows.map((s) => (
        <tr key={s.account}>
          <td>
            <Link to={"/emergency?account=" + encodeURIComponent(s.account)}>{s.account}</Link>
            {isStopped(props.known, s.account) ? (
              <Badge kind="warn">{t("emergency.stopped")}</Badge>
            ) : (
              s.recipients >= MANY && <Badge kind="bad">{t("emergency.much")}</Badge>
            )}
          </td>
          <td class="number">{number(s.entries)}</td>
          <td class="number">{number(s.recipients)}</td>
          <td class="number">{number(s.held)}</td>
          <td>
            <Counted list={s.clients.map((c) => [c.client, c.count])} others={s.other_clients} />
          </td>
          <td>
            {time(s.oldest)} – {time(s.newest)}
          </td>
        </tr>
      ))}
    </Grid>
  );
}

/** Orders that wait for their time: until then they are undone by stopping them. */
function Pending(props: { jobs: Job[]; again: () => void }) {
  return (
    <>
      {props.jobs.map((j) => (
        <div key={j.id} class="notice bad" role="status">
          <span>
            {t(j.kind === "queue-delete" ? "emergency.will-delete" : "emergency.will-release", {
              n: number(j.total),
              when: new Date(j.begins * 1000).toLocaleTimeString(),
            })}
          </span>
          {mayWrite() && (
            <Button
              onClick={async () => {
                await remove("/jobs/" + j.id);
                notice("good", t("emergency.undone"));
                props.again();
              }}
            >
              {t("emergency.undo")}
            </Button>
          )}
        </div>
      ))}
    </>
  );
}

function Letter(props: { account: string; sender: Sender | undefined; onClose: () => void }) {
  const [to, setTo] = useState(props.account);
  const [subject, setSubject] = useState(t("emergency.letter-subject"));
  const [text, setText] = useState(
    t("emergency.letter-text", {
      account: props.account,
      n: number(props.sender?.entries ?? 0),
      clients: (props.sender?.clients ?? []).map((c) => c.client).join(", ") || "-",
    }),
  );
  return (
    <FormDialog
      title={t("emergency.letter")}
      submit={t("emergency.send")}
      onClose={props.onClose}
      onSubmit={async () => {
        await post("/letters", { to, subject, text });
        notice("good", t("emergency.sent", { to }));
      }}
    >
      <TextField label={t("queue.to")} value={to} onInput={setTo} required />
      <TextField label={t("emergency.subject")} value={subject} onInput={setSubject} required />
      <TextArea label={t("emergency.text-label")} value={text} onInput={setText} rows={10} required />
    </FormDialog>
  );
}

function Account(props: { account: string; known: Known; again: () => void }) {
  const { account, known, again } = props;
  const [password, setPassword] = useState("");
  const [progress, setProgress] = useState("");
  const [asking, setAsking] = useState<"delete" | "letter" | null>(null);
  const sender = known.senders.find((s) => s.account.toLowerCase() === account.toLowerCase());
  const stopped = isStopped(known, account);
  const user = path(account);
  const pending = known.jobs.filter((j) => j.about.toLowerCase() === account.toLowerCase() && j.done === 0);
  const stop = async () => {
    await post("/limits", { account });
    again();
  };
  const change = async () => setPassword((await put<{ password: string }>(user + "/password", {})).password);
  const order = async (name: string, state: string, after = 0) => {
    const { job } = await post<{ job: number }>("/queue", { order: name, filter: { auth: account, state }, after });
    try {
      if (after === 0) await followJob(job, setProgress);
    } finally {
      setProgress("");
      again();
    }
  };
  const all = async () => {
    await stop();
    if (user) await change();
    await order("hold", "waiting");
  };
  const waiting = (sender?.entries ?? 0) - (sender?.held ?? 0);
  return (
    <>
      <Pending jobs={pending} again={again} />
      <section class="card">
        <h2>{t("emergency.evidence")}</h2>
        <dl class="facts-list">
          <dt>{t("queue.entries")}</dt>
          <dd>
            {number(sender?.entries ?? 0)} ({size(sender?.size ?? 0)}){" "}
            <Link to={"/queue?view=messages&auth=" + encodeURIComponent(account)}>{t("emergency.see")}</Link>
          </dd>
          <dt>{t("queue.recipients")}</dt>
          <dd>{number(sender?.recipients ?? 0)}</dd>
          <dt>{t("queue.held")}</dt>
          <dd>{number(sender?.held ?? 0)}</dd>
          <dt>{t("emergency.clients")}</dt>
          <dd>
            <Counted list={(sender?.clients ?? []).map((c) => [c.client, c.count])} others={sender?.other_clients ?? 0} />
          </dd>
          <dt>{t("emergency.senders-used")}</dt>
          <dd>
            <Counted list={(sender?.senders ?? []).map((c) => [c.address, c.count])} others={sender?.other_senders ?? 0} />
          </dd>
        </dl>
        <p class="quiet">{t("emergency.evidence-text")}</p>
      </section>
      {mayWrite() && (
        <>
          <section class="card">
            <h2>{t("emergency.stop")}</h2>
            <p>{t("emergency.stop-text")}</p>
            <div class="actions">
              <Button kind="primary" onClick={all}>
                {t("emergency.all")}
              </Button>
              {stopped ? (
                <Button
                  onClick={async () => {
                    await remove("/limits/" + encodeURIComponent(account));
                    again();
                  }}
                >
                  {t("emergency.let-go")}
                </Button>
              ) : (
                <Button onClick={stop}>{t("emergency.stop-account")}</Button>
              )}
              {user && <Button onClick={change}>{t("password.change")}</Button>}
              <Button onClick={() => order("hold", "waiting")} disabled={waiting === 0}>
                {t("emergency.hold", { n: number(waiting) })}
              </Button>
              {progress && <span role="status">{progress}</span>}
            </div>
            {stopped && <p class="notice good">{t("emergency.is-stopped")}</p>}
          </section>
          <section class="card">
            <h2>{t("emergency.decide")}</h2>
            <p>{t("emergency.decide-text")}</p>
            <div class="actions">
              <Button kind="danger" onClick={() => setAsking("delete")} disabled={!sender?.held || pending.length > 0}>
                {t("emergency.delete", { n: number(sender?.held ?? 0) })}
              </Button>
              <Button onClick={() => order("release", "held", RELEASE_AFTER)} disabled={!sender?.held || pending.length > 0}>
                {t("emergency.release", { n: number(sender?.held ?? 0) })}
              </Button>
              <Button onClick={() => setAsking("letter")}>{t("emergency.letter")}</Button>
            </div>
          </section>
        </>
      )}
      {password && (
        <Dialog title={t("password.made", { address: account })} onClose={() => setPassword("")}>
          <p>{t("password.once")}</p>
          <MadePassword password={password} />
          <div class="actions end">
            <Button onClick={() => setPassword("")}>{t("app.close")}</Button>
          </div>
        </Dialog>
      )}
      {asking === "delete" && (
        <FormDialog
          title={t("queue.ask-delete", { n: number(sender?.held ?? 0) })}
          text={t("emergency.ask-delete")}
          submit={t("queue.delete")}
          danger
          onClose={() => setAsking(null)}
          onSubmit={() => order("delete", "held", DELETE_AFTER)}
        />
      )}
      {asking === "letter" && <Letter account={account} sender={sender} onClose={() => setAsking(null)} />}
    </>
  );
}

export function Emergency() {
  const account = param("account");
  const data = useData("emergency", load, true);
  const [typed, setTyped] = useState("");
  useEffect(() => {
    const timer = setInterval(data.again, 5000);
    return () => clearInterval(timer);
  }, []);
  return (
    <Page title={account || t("emergency.title")} up={account ? [["/emergency", t("emergency.title")]] : undefined}>
      {!account && <p>{t("emergency.text")}</p>}
      <Loaded data={data}>
        {(known) => (account ? <Account key={account} account={account} known={known} again={data.again} /> : <Senders known={known} />)}
      </Loaded>
      {!account && (
        <form
          class="filters"
          onSubmit={(e) => {
            e.preventDefault();
            setParams({ account: typed.trim() });
          }}
        >
          <TextField label={t("emergency.another")} value={typed} onInput={setTyped} />
          <Button type="submit">{t("emergency.look")}</Button>
        </form>
      )}
    </Page>
  );
}
