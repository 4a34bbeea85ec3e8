// One message: where it is, what became of each recipient, orders about it.
import { useState } from "preact/hooks";
import { ApiError, get, post, remove, text } from "../api";
import { number, t, time, type Key } from "../i18n";
import { go } from "../router";
import { mayWrite } from "../session";
import { said } from "../said";
import { size } from "../ui/fields";
import { Button, Dialog, FormDialog, Grid, Link, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import { Events, type Trace } from "../ui/story";
import { messagePage, NextTry, OrderDialog, StateBadge, type Order, type State } from "./queue";

type Recipient = { address: string; as: string; state: string; reason: string };
type Entry = {
  id: string;
  from: string;
  auth: string;
  client: string;
  helo: string;
  via: string;
  received: number;
  next_try: number;
  size: number;
  tries: number;
  state: State;
  moderated: boolean;
  recipients: Recipient[];
  history: string[];
};
const SHOWN = 100000;

function save(id: string, message: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(message);
  link.download = id + ".eml";
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The message itself, for who says why he reads it. */
function Reading(props: { id: string; onClose: () => void }) {
  const [why, setWhy] = useState("");
  const [message, setMessage] = useState<{ blob: Blob; shown: string } | null>(null);
  if (message)
    return (
      <Dialog title={t("message.title", { id: props.id })} onClose={props.onClose}>
        <pre tabIndex={0} aria-label={t("message.text")} class="mail">
          {message.shown}
        </pre>
        {message.blob.size > SHOWN && <p>{t("message.cut")}</p>}
        <div class="actions end">
          <Button onClick={() => save(props.id, message.blob)}>{t("message.save")}</Button>
          <Button onClick={props.onClose}>{t("app.close")}</Button>
        </div>
      </Dialog>
    );
  return (
    <FormDialog
      title={t("message.read")}
      text={t("message.read-text")}
      submit={t("message.read")}
      onClose={props.onClose}
      onSubmit={async () => {
        const blob = await text("POST", `/queue/${props.id}/message`, { reason: why });
        setMessage({ blob, shown: await blob.slice(0, SHOWN).text() });
        return "stay";
      }}
    >
      <TextField label={t("message.why")} value={why} onInput={setWhy} required autofocus />
    </FormDialog>
  );
}

function Fact(props: { name: string; value: preact.ComponentChildren }) {
  return (
    <>
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
    </>
  );
}

function Orders(props: { entry: Entry; again: () => void }) {
  const { entry } = props;
  const [asking, setAsking] = useState<Order | null>(null);
  const [reading, setReading] = useState(false);
  const run = async (order: Order, hosts = "") => {
    if (order === "delete") {
      await remove("/queue/" + entry.id);
      notice("good", t("message.deleted"));
      go("/queue?view=" + (entry.state === "frozen" ? "frozen" : "messages"));
      return;
    }
    await post("/queue/" + entry.id, { order, hosts });
    notice("good", t("app.done"));
    props.again();
  };
  if (!mayWrite()) return null;
  const orders: Order[] =
    entry.state === "frozen" ? ["try", "delete"] : ["try", entry.state === "held" ? "release" : "hold", "reroute", "delete"];
  return (
    <div class="actions">
      {orders.map((o) => (
        <Button
          key={o}
          kind={o === "delete" ? "danger" : undefined}
          onClick={() => (o === "delete" || o === "reroute" ? setAsking(o) : run(o))}
        >
          {t(("queue." + o) as Key)}
        </Button>
      ))}
      <Button onClick={() => setReading(true)}>{t("message.read")}</Button>
      {asking && <OrderDialog order={asking} count={1} onClose={() => setAsking(null)} run={(hosts) => run(asking, hosts)} />}
      {reading && <Reading id={entry.id} onClose={() => setReading(false)} />}
    </div>
  );
}

function InQueue(props: { entry: Entry; again: () => void }) {
  const { entry } = props;
  return (
    <>
      <Orders {...props} />
      <section class="card">
        <p>
          <StateBadge state={entry.state} /> {t("queue.tries", { n: number(entry.tries) })}{" "}
          <NextTry state={entry.state} tries={entry.tries} next={entry.next_try} />
        </p>
        {entry.moderated && <p class="notice">{t("message.moderated")}</p>}
        <dl class="facts-list">
          <Fact name={t("queue.from")} value={entry.from || t("queue.null")} />
          <Fact name={t("queue.received")} value={time(entry.received)} />
          <Fact name={t("queue.size")} value={size(entry.size)} />
          <Fact name={t("message.client")} value={`${entry.client} ${entry.helo}`} />
          {entry.auth && <Fact name={t("message.login")} value={entry.auth} />}
          {entry.via && <Fact name={t("message.via")} value={entry.via} />}
        </dl>
      </section>
      <Grid label={t("queue.recipients")} head={[t("queue.to"), t("queue.state"), t("message.reason")]}>
        {entry.recipients.map((r, i) => (
          <tr key={i}>
            <td>
              {r.address}
              {r.as && (
                <>
                  <br />
                  <span class="quiet">{t("message.as", { address: r.as })}</span>
                </>
              )}
            </td>
            <td>{t(("message.rcpt." + r.state) as Key)}</td>
            <td>{said(r.reason)}</td>
          </tr>
        ))}
      </Grid>
      {entry.history.length > 0 && (
        <>
          <h2>{t("message.history")}</h2>
          <pre tabIndex={0} aria-label={t("message.history")}>
            {entry.history.join("\n")}
          </pre>
        </>
      )}
    </>
  );
}

const orNull = (e: unknown) => {
  if (e instanceof ApiError && e.status === 404) return null;
  throw e;
};

/** What the trace knows of it, and of the reports about it. */
function Told(props: { id: string }) {
  const url = "/trace?about=" + encodeURIComponent(props.id);
  const data = useData(url, () => get<Trace>(url), true);
  return (
    <section class="card">
      <h2>{t("story.of")}</h2>
      <Loaded data={data}>
        {(trace) => (
          <>
            {trace.stories.length === 0 && (
              <p class="quiet">{trace.days === 0 ? t("story.off") : t("story.none", { days: number(trace.days) })}</p>
            )}
            {[...trace.stories].reverse().map((s) => (
              <div key={s.id}>
                {s.id !== props.id && (
                  <h3>
                    <Link to={messagePage(s.id)}>{s.id}</Link>
                  </h3>
                )}
                <Events story={s} />
              </div>
            ))}
          </>
        )}
      </Loaded>
    </section>
  );
}

export function MessagePage(props: { id: string }) {
  const data = useData("message" + props.id, () => get<Entry>("/queue/" + encodeURIComponent(props.id)).catch(orNull), true);
  return (
    <Page title={t("message.title", { id: props.id })} up={[["/queue", t("queue.title")]]}>
      <Loaded data={data}>
        {(entry) => (entry ? <InQueue entry={entry} again={data.again} /> : <p class="quiet">{t("message.gone")}</p>)}
      </Loaded>
      <Told id={props.id} />
    </Page>
  );
}
