// What waits: by destination, message by message, and what was given up.
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../api";
import { number, t, time, type Key } from "../i18n";
import { go, param, route, setParams } from "../router";
import { mayWrite } from "../session";
import { said } from "../said";
import { size } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, notice } from "../ui/parts";
import { Pager, Rows, Search, usePieces } from "../ui/pieces";

type Reason = { text: string; count: number };
type Place = {
  domain: string;
  entries: number;
  recipients: number;
  size: number;
  held: number;
  oldest: number;
  next_try: number;
  not_tried: number;
  reasons: Reason[];
  other_reasons: number;
};
type Places = { waiting: number; held: number; frozen: number; size: number; total: number; rows: Place[] };
export type State = "waiting" | "held" | "frozen";
type Entry = {
  id: string;
  from: string;
  auth: string;
  client: string;
  received: number;
  next_try: number;
  size: number;
  tries: number;
  state: State;
  recipients: number;
  open: number;
  to: { address: string; domain: string; reason: string }[];
};
type Entries = { total: number; rows: Entry[]; left_out: number };
export type Order = "try" | "hold" | "release" | "reroute" | "delete";
type Job = { state: string; done: number; total: number; result?: { done: number; failed: number } };

/** The page of a message. */
export const messagePage = (id: string) => route("/messages", id);
/** Filters of the list that the page's address may hold. */
const filters = ["domain", "from", "to", "auth", "client", "reason"];

export function StateBadge(props: { state: State }) {
  const kind = props.state === "waiting" ? undefined : props.state === "held" ? "warn" : "bad";
  return <Badge kind={kind}>{t(("message.state." + props.state) as Key)}</Badge>;
}

/** When it is tried next. */
export function NextTry(props: { state: State; tries: number; next: number }) {
  if (props.state !== "waiting") return null;
  return <>{props.tries === 0 ? t("queue.new") : time(props.next)}</>;
}

/** Asks for what the order needs; then run is called with the hosts of a reroute. */
export function OrderDialog(props: { order: Order; count: number; run: (hosts: string) => Promise<unknown>; onClose: () => void }) {
  const [hosts, setHosts] = useState("");
  if (props.order === "delete")
    return (
      <FormDialog
        title={t("queue.ask-delete", { n: number(props.count) })}
        text={t("queue.ask-delete-text")}
        submit={t("queue.delete")}
        danger
        onClose={props.onClose}
        onSubmit={() => props.run("")}
      />
    );
  return (
    <FormDialog title={t("queue.reroute")} submit={t("queue.reroute")} onClose={props.onClose} onSubmit={() => props.run(hosts)}>
      <TextField label={t("queue.hosts")} help={t("queue.hosts-help")} value={hosts} onInput={setHosts} autofocus />
    </FormDialog>
  );
}

/** Follows a job about many messages to its end. */
export async function followJob(id: number, tell: (text: string) => void): Promise<void> {
  for (;;) {
    const job = await get<Job>("/jobs/" + id);
    if (job.state !== "running") {
      const { done, failed } = job.result ?? { done: 0, failed: 0 };
      if (failed > 0) notice("bad", t("queue.ordered-failed", { n: number(done), failed: number(failed) }));
      else notice("good", t("queue.ordered", { n: number(done) }));
      return;
    }
    tell(t("queue.under-way", { done: number(job.done), total: number(job.total) }));
    await new Promise((r) => setTimeout(r, 300));
  }
}

function Orders(props: { frozen: boolean; chosen: string[]; total: number; filter: Record<string, string>; after: () => void }) {
  const [asking, setAsking] = useState<Order | null>(null);
  const [progress, setProgress] = useState("");
  const count = props.chosen.length || props.total;
  const run = async (order: Order, hosts = "") => {
    const which = props.chosen.length > 0 ? { ids: props.chosen } : { filter: props.filter };
    const { job } = await post<{ job: number }>("/queue", { order, hosts, ...which });
    try {
      await followJob(job, setProgress);
    } finally {
      setProgress("");
      props.after();
    }
  };
  if (count === 0 || !mayWrite()) return null;
  const orders: Order[] = props.frozen ? ["try", "delete"] : ["try", "hold", "release", "reroute", "delete"];
  return (
    <div class="actions">
      <span>{t(props.chosen.length > 0 ? "queue.chosen" : "queue.all", { n: number(count) })}</span>
      {orders.map((o) => (
        <Button
          key={o}
          kind={o === "delete" ? "danger" : undefined}
          disabled={progress !== ""}
          onClick={() => (o === "delete" || o === "reroute" ? setAsking(o) : run(o))}
        >
          {t(("queue." + o) as Key)}
        </Button>
      ))}
      {progress && <span role="status">{progress}</span>}
      {asking && <OrderDialog order={asking} count={count} onClose={() => setAsking(null)} run={(hosts) => run(asking, hosts)} />}
    </div>
  );
}

function To(props: { entry: Entry }) {
  const { entry } = props;
  const first = entry.to[0];
  if (!first) return null;
  return (
    <>
      {first.address}
      {entry.open > 1 && <span class="quiet"> {t("queue.more", { n: number(entry.open - 1) })}</span>}
      {first.reason && (
        <>
          <br />
          <span class="quiet">{said(first.reason)}</span>
        </>
      )}
    </>
  );
}

function Messages(props: { frozen: boolean }) {
  const filter: Record<string, string> = { state: props.frozen ? "frozen" : param("state") };
  for (const name of filters) filter[name] = param(name);
  const url = "/queue?" + new URLSearchParams(filter).toString();
  const pieces = usePieces<Entry, Entries>(url);
  const [chosen, setChosen] = useState<string[]>([]);
  useEffect(() => setChosen([]), [pieces.url]);
  useEffect(() => {
    const timer = setInterval(pieces.data.again, 5000);
    return () => clearInterval(timer);
  }, [pieces.url]);
  const only = filters.filter((name) => filter[name]).map((name) => filter[name]);
  const choose = (id: string, on: boolean) => setChosen(on ? [...chosen, id] : chosen.filter((c) => c !== id));
  return (
    <>
      <div class="filters">
        <Search pieces={pieces} label={t("queue.search")} />
        {only.length > 0 && (
          <>
            <span>{t("queue.only", { what: only.join(", ") })}</span>
            <Button kind="quiet" onClick={() => setParams(Object.fromEntries([...filters, "offset"].map((n) => [n, ""])))}>
              {t("queue.no-filter")}
            </Button>
          </>
        )}
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <>
            {now.left_out > 0 && <p class="notice bad">{t("queue.left-out", { n: number(now.left_out) })}</p>}
            <Orders
              frozen={props.frozen}
              chosen={chosen}
              total={now.total}
              filter={{ ...filter, search: pieces.search }}
              after={() => {
                setChosen([]);
                pieces.data.again();
              }}
            />
            <Rows pieces={pieces} count={now.rows.length} none={props.frozen ? t("queue.none-frozen") : t("queue.none")}>
              <Grid
                label={t(props.frozen ? "queue.frozen" : "queue.entries")}
                head={[t("queue.message"), t("queue.from"), t("queue.to"), t("queue.size"), t("queue.state")]}
              >
                {now.rows.map((e) => (
                  <tr key={e.id}>
                    <td>
                      {mayWrite() && (
                        <input
                          type="checkbox"
                          aria-label={t("queue.choose", { id: e.id })}
                          checked={chosen.includes(e.id)}
                          onChange={(ev) => choose(e.id, ev.currentTarget.checked)}
                        />
                      )}{" "}
                      <Link to={messagePage(e.id)}>{e.id}</Link>
                      <br />
                      <span class="quiet">{time(e.received)}</span>
                    </td>
                    <td>
                      {e.from || t("queue.null")}
                      <br />
                      <span class="quiet">
                        {e.auth ? t("queue.signed-in", { name: e.auth }) : ""} {e.client}
                      </span>
                    </td>
                    <td>
                      <To entry={e} />
                    </td>
                    <td class="number">{size(e.size)}</td>
                    <td>
                      <StateBadge state={e.state} />
                      <br />
                      <span class="quiet">
                        <NextTry state={e.state} tries={e.tries} next={e.next_try} />
                      </span>
                    </td>
                  </tr>
                ))}
              </Grid>
            </Rows>
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Why(props: { place: Place }) {
  const { reasons, not_tried, other_reasons } = props.place;
  return (
    <ul class="plain">
      {reasons.map((r) => (
        <li key={r.text}>
          {t("queue.times", { n: number(r.count) })} <span class="quiet">{said(r.text)}</span>
        </li>
      ))}
      {not_tried > 0 && <li>{t("queue.not-tried", { n: number(not_tried) })}</li>}
      {other_reasons > 0 && <li>{t("queue.other-reasons", { n: number(other_reasons) })}</li>}
    </ul>
  );
}

function Destinations() {
  const pieces = usePieces<Place, Places>("/queue/destinations");
  useEffect(() => {
    const timer = setInterval(pieces.data.again, 5000);
    return () => clearInterval(timer);
  }, [pieces.url]);
  return (
    <Loaded data={pieces.data}>
      {(now) => (
        <>
          <dl class="figures">
            {(["waiting", "held", "frozen"] as const).map((s) => (
              <div key={s} class={"figure" + (s !== "waiting" && now[s] > 0 ? " warn" : "")}>
                <dt>{t(("queue." + s) as Key)}</dt>
                <dd>{number(now[s])}</dd>
              </div>
            ))}
            <div class="figure">
              <dt>{t("queue.size")}</dt>
              <dd>{size(now.size)}</dd>
            </div>
          </dl>
          <Search pieces={pieces} />
          <Rows pieces={pieces} count={now.rows.length} none={t("queue.none")}>
            <Grid
              label={t("queue.places")}
              head={[
                t("queue.domain"),
                t("queue.entries"),
                t("queue.recipients"),
                t("queue.size"),
                t("queue.oldest"),
                t("queue.next"),
                t("queue.reasons"),
              ]}
            >
              {now.rows.map((p) => (
                <tr key={p.domain}>
                  <td>
                    <Link to={"/queue?view=messages&domain=" + encodeURIComponent(p.domain)}>{p.domain}</Link>
                    {p.held > 0 && <Badge kind="warn">{t("queue.held") + " " + number(p.held)}</Badge>}
                  </td>
                  <td class="number">{number(p.entries)}</td>
                  <td class="number">{number(p.recipients)}</td>
                  <td class="number">{size(p.size)}</td>
                  <td>{time(p.oldest)}</td>
                  <td>{p.next_try > 0 ? time(p.next_try) : ""}</td>
                  <td>
                    <Why place={p} />
                  </td>
                </tr>
              ))}
            </Grid>
          </Rows>
          <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
        </>
      )}
    </Loaded>
  );
}

export function Queue() {
  const view = param("view") || "destinations";
  const views: [string, Key][] = [
    ["destinations", "queue.places"],
    ["messages", "queue.entries"],
    ["frozen", "queue.frozen"],
  ];
  return (
    <Page title={t("queue.title")}>
      <div class="tabs">
        {views.map(([name, key]) => (
          <button key={name} type="button" aria-pressed={view === name} onClick={() => go("/queue?view=" + name)}>
            {t(key)}
          </button>
        ))}
      </div>
      {view === "frozen" && <p>{t("queue.frozen-text")}</p>}
      {view === "destinations" ? <Destinations /> : <Messages key={view} frozen={view === "frozen"} />}
    </Page>
  );
}
