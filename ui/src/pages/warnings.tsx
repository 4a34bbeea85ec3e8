// What should be looked at, all together, each with what to do.
import { useState } from "preact/hooks";
import { get, post, remove } from "../api";
import { either, fill, number, t, time } from "../i18n";
import { mayWrite } from "../session";
import { size } from "../ui/fields";
import { Badge, Button, Dialog, Link, Loaded, Page, notice, useData } from "../ui/parts";

type Pair = { en: string; ja: string };
type Warning = {
  kind: string;
  level: "bad" | "warn";
  about: string;
  n: number;
  of: number;
  when: number;
  octets: boolean;
  text: Pair;
  advice: Pair;
};
type Letter = { to: string; subject: string; text: string };
type Job = { state: string; done: number; total: number; result?: Warning[] };

/** Where something can be done about it. */
function place(w: Warning): string {
  const at = w.about.lastIndexOf("@");
  if (w.kind === "stopped" || w.kind === "held") return "/emergency?account=" + encodeURIComponent(w.about);
  if (w.kind.startsWith("mailbox")) return `/accounts/${encodeURIComponent(w.about.slice(at + 1))}/${encodeURIComponent(w.about.slice(0, at))}`;
  const places: Record<string, string> = {
    role: "/",
    certificate: "/tls",
    tables: "/tables",
    disk: "/logs",
    inodes: "/logs",
    backup: "/backups",
    log: "/logs?kind=" + w.about,
    addresses: "/blocked",
    old: "/queue",
    kept: "/queue?view=messages&state=held",
    frozen: "/queue?view=frozen",
  };
  return places[w.kind] ?? "/";
}

function List(props: { rows: Warning[] }) {
  return (
    <ul class="plain">
      {props.rows.map((w, i) => {
        const figure = w.octets ? size : number;
        const values = { about: w.about, n: figure(w.n), of: figure(w.of), when: w.when > 0 ? time(w.when) : "" };
        return (
          <li key={i} class="card">
            <strong>
              <Link to={place(w)}>{fill(either(w.text), values)}</Link>
            </strong>
            <Badge kind={w.level}>{t(w.level === "bad" ? "warnings.bad" : "warnings.warn")}</Badge>
            <br />
            {either(w.advice)}
          </li>
        );
      })}
    </ul>
  );
}

function Mailboxes() {
  const [progress, setProgress] = useState("");
  const [found, setFound] = useState<Warning[] | null>(null);
  const look = async () => {
    const { job } = await post<{ job: number }>("/warnings/mailboxes");
    for (;;) {
      const now = await get<Job>("/jobs/" + job);
      if (now.state !== "running") {
        setFound(now.result ?? []);
        setProgress("");
        await remove("/jobs/" + job);
        return;
      }
      setProgress(t("queue.under-way", { done: number(now.done), total: number(now.total) }));
      await new Promise((r) => setTimeout(r, 300));
    }
  };
  return (
    <section>
      <h2>{t("warnings.mailboxes")}</h2>
      {found && (found.length > 0 ? <List rows={found} /> : <p class="notice good">{t("warnings.no-mailboxes")}</p>)}
      {mayWrite() && (
        <div class="actions">
          <Button onClick={look}>{t("warnings.look")}</Button>
          {progress && <span role="status">{progress}</span>}
        </div>
      )}
    </section>
  );
}

/** The letter of the week: as it would be now, and sent when that is wanted. */
function Weekly() {
  const [letter, setLetter] = useState<Letter | null>(null);
  const close = () => setLetter(null);
  const send = async () => {
    const sent = await post<Letter>("/letters/weekly");
    close();
    notice("good", t("weekly.sent", { to: sent.to }));
  };
  return (
    <section>
      <h2>{t("weekly.title")}</h2>
      <p>{t("weekly.text")}</p>
      {mayWrite() && (
        <div class="actions">
          <Button onClick={async () => setLetter(await get<Letter>("/letters/weekly"))}>{t("weekly.show")}</Button>
        </div>
      )}
      {letter && (
        <Dialog title={letter.subject} onClose={close}>
          <p>{t("weekly.to", { to: letter.to })}</p>
          <pre tabIndex={0} aria-label={t("weekly.title")} class="mail">
            {letter.text}
          </pre>
          <div class="actions end">
            <Button kind="primary" onClick={send}>
              {t("weekly.send")}
            </Button>
            <Button onClick={close}>{t("app.close")}</Button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

export function Warnings() {
  const data = useData("warnings", () => get<Warning[]>("/warnings"), true);
  return (
    <Page title={t("warnings.title")} actions={<Button onClick={data.again}>{t("warnings.again")}</Button>}>
      <p>{t("warnings.text")}</p>
      <Loaded data={data}>
        {(rows) =>
          rows.length === 0 ? (
            <p class="notice good" role="status">
              {t("warnings.none")}
            </p>
          ) : (
            <List rows={rows} />
          )
        }
      </Loaded>
      <Mailboxes />
      <Weekly />
    </Page>
  );
}
