// Backups: what there is, making, verifying, restoring; the work goes on when the page is left.
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../api";
import { number, t, time, type Key } from "../i18n";
import { route } from "../router";
import { said } from "../said";
import { Choice, size } from "../ui/fields";
import { Badge, Button, FormDialog, Grid, Link, Loaded, Page, TextField, useData } from "../ui/parts";

type Work = {
  state: "waiting" | "running" | "done" | "damaged" | "failed" | "stopped" | "interrupted";
  act?: "make" | "verify" | "restore";
  snapshot: string;
  what: string;
  by: string;
  began: number;
  files: number;
  octets: number;
  left_out: number;
  why?: string;
  read_files?: number;
  read_octets?: number;
  skipped?: number;
  pruned?: number;
  messages?: number;
  present?: number;
  kept?: number;
  rows?: number;
  folder?: string;
  notes: { file: string; what: string }[];
};
type State = {
  folder: string;
  time: string;
  keep: number;
  busy: boolean;
  work: Work | null;
  backups: { name: string; files: number }[];
  aside: string[];
  troubles: string[];
};

const LOOK_AGAIN_MS = 700;

/** "2026-11-27T022300Z" for people. */
function when(name: string): string {
  const m = /^(\d{4}-\d\d-\d\dT\d\d)(\d\d)(\d\d)Z(.*)$/.exec(name);
  return m ? time(Date.parse(`${m[1]}:${m[2]}:${m[3]}Z`) / 1000) + m[4] : name;
}

function title(w: Work): string {
  if (!w.act) return t("backups.work");
  const what = w.what === "all" ? t("backups.what.all") : w.what;
  return t(("backups.act." + w.act) as Key, { snapshot: when(w.snapshot), what });
}

/** What it did, so far. */
function facts(w: Work): string[] {
  const list: string[] = [];
  if (w.files === undefined) return list;
  list.push(t("backups.so-far", { files: number(w.files), size: size(w.octets) }));
  if (w.read_files !== undefined)
    list.push(t("backups.read", { files: number(w.read_files), size: size(w.read_octets ?? 0) }));
  if (w.messages !== undefined)
    list.push(t("backups.restored", { messages: number(w.messages), rows: number(w.rows ?? 0) }));
  if (w.present || w.kept)
    list.push(t("backups.present", { present: number(w.present ?? 0), kept: number(w.kept ?? 0) }));
  if (w.pruned) list.push(t("backups.pruned", { n: number(w.pruned) }));
  if (w.skipped) list.push(t("backups.skipped", { n: number(w.skipped) }));
  if (w.folder) list.push(t("backups.into", { folder: w.folder }));
  return list;
}

function kindOf(state: Work["state"]): "good" | "bad" | "warn" | undefined {
  if (state === "done") return "good";
  if (state === "damaged" || state === "failed") return "bad";
  return state === "stopped" || state === "interrupted" ? "warn" : undefined;
}

function WorkCard({ work }: { work: Work }) {
  const runs = work.state === "waiting" || work.state === "running";
  return (
    <section class="card">
      <h2>
        {title(work)} <Badge kind={kindOf(work.state)}>{t(("backups.state." + work.state) as Key)}</Badge>
      </h2>
      <div role="status">
        {work.began !== undefined && (
          <p class="quiet">
            {work.by
              ? t("backups.by", { by: work.by, time: time(work.began) })
              : t("backups.by-itself", { time: time(work.began) })}
          </p>
        )}
        <ul class="plain">
          {facts(work).map((line, i) => (
            <li key={i}>{line}</li>
          ))}
        </ul>
        {work.why && <p class="notice bad">{said(work.why)}</p>}
      </div>
      {work.notes.length > 0 && (
        <ul>
          {work.notes.map((n, i) => (
            <li key={i}>
              <code>{n.file}</code>: {said(n.what)}
            </li>
          ))}
          {work.left_out > 0 && <li>{t("backups.more-notes", { n: number(work.left_out) })}</li>}
        </ul>
      )}
      {runs && (
        <>
          <p class="quiet">{t("backups.leave")}</p>
          <div class="actions">
            <Button onClick={() => post("/backups-stop")}>{t("backups.stop")}</Button>
          </div>
        </>
      )}
    </section>
  );
}

const wholes = ["all", "domain", "user", "folder"] as const;

function Restore(props: { name: string; onClose: () => void; again: () => void }) {
  const [kind, setKind] = useState<(typeof wholes)[number]>("user");
  const [object, setObject] = useState("");
  const [folder, setFolder] = useState("INBOX");
  const [place, setPlace] = useState("back");
  const what = kind === "all" ? "all" : kind === "folder" ? `${object.trim()}/${folder.trim()}` : object.trim();
  return (
    <FormDialog
      title={t("backups.restore-of", { time: when(props.name) })}
      text={t("backups.restore-text")}
      submit={t("backups.restore")}
      danger
      onClose={props.onClose}
      onSubmit={async () => {
        await post(route("/backups", props.name, "restore"), { what, place });
        props.again();
      }}
    >
      <Choice
        label={t("backups.what")}
        value={kind}
        choices={wholes.map((w) => [w, t(("backups.what." + w) as Key)])}
        onChange={(v) => setKind(v as typeof kind)}
      />
      {kind !== "all" && (
        <TextField
          label={t(kind === "domain" ? "backups.domain" : "backups.address")}
          value={object}
          onInput={setObject}
          required
        />
      )}
      {kind === "folder" && (
        <TextField
          label={t("backups.mail-folder")}
          help={t("backups.mail-folder-help")}
          value={folder}
          onInput={setFolder}
          required
        />
      )}
      <Choice
        label={t("backups.place")}
        value={place}
        choices={[
          ["back", t("backups.place.back")],
          ["aside", t("backups.place.aside")],
        ]}
        help={kind === "all" && place === "back" ? t("backups.back-all") : undefined}
        onChange={setPlace}
      />
    </FormDialog>
  );
}

function Settings({ state }: { state: State }) {
  return (
    <>
      <dl class="facts-list">
        <dt>{t("backups.folder")}</dt>
        <dd>{state.folder}</dd>
        <dt>{t("backups.daily")}</dt>
        <dd>{state.time || t("backups.never")}</dd>
        <dt>{t("backups.keep")}</dt>
        <dd>{state.keep > 0 ? number(state.keep) : t("backups.keep-all")}</dd>
      </dl>
      <p>
        <Link to="/settings?search=Backup">{t("backups.settings")}</Link>
      </p>
    </>
  );
}

function List(props: { state: State; again: () => void; restore: (name: string) => void }) {
  const { state } = props;
  if (state.backups.length === 0) return <p class="quiet">{t("backups.none")}</p>;
  return (
    <Grid label={t("backups.title")} head={[t("backups.when"), t("backups.files"), t("app.actions")]}>
      {state.backups.map((b) => (
        <tr key={b.name}>
          <td>{when(b.name)}</td>
          <td>{number(b.files)}</td>
          <td>
            <div class="actions">
              <Button
                disabled={state.busy}
                onClick={async () => {
                  await post(route("/backups", b.name, "verify"));
                  props.again();
                }}
              >
                {t("backups.verify")}
              </Button>
              <Button disabled={state.busy} onClick={() => props.restore(b.name)}>
                {t("backups.restore")}
              </Button>
            </div>
          </td>
        </tr>
      ))}
    </Grid>
  );
}

export function Backups() {
  const data = useData("backups", () => get<State>("/backups"), true);
  const [restoring, setRestoring] = useState<string | null>(null);
  const state = data.value;
  const configured = state !== undefined && state.folder !== "";
  useEffect(() => {
    if (configured && !state.busy) post("/backups-look").then(data.again, () => undefined);
  }, [configured]);
  useEffect(() => {
    if (!state?.busy) return;
    const timer = setTimeout(data.again, LOOK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const make = async () => {
    await post("/backups");
    data.again();
  };
  return (
    <Page
      title={t("backups.title")}
      actions={
        configured && (
          <Button kind="primary" disabled={state.busy} onClick={make}>
            {t("backups.make")}
          </Button>
        )
      }
    >
      <p>{t("backups.text")}</p>
      <Loaded data={data}>
        {(now) =>
          now.folder === "" ? (
            <div class="notice warn">
              <span>{t("backups.no-folder")}</span> <Link to="/settings?search=Backup">{t("backups.settings")}</Link>
            </div>
          ) : (
            <>
              <Settings state={now} />
              {now.work && <WorkCard work={now.work} />}
              {now.troubles.map((text, i) => (
                <p key={i} class="notice bad" role="alert">
                  {text}
                </p>
              ))}
              <List state={now} again={data.again} restore={setRestoring} />
              {now.aside.length > 0 && (
                <section>
                  <h2>{t("backups.aside")}</h2>
                  <p>{t("backups.aside-text")}</p>
                  <ul>
                    {now.aside.map((folder) => (
                      <li key={folder}>
                        <code>{folder}</code>
                      </li>
                    ))}
                  </ul>
                </section>
              )}
            </>
          )
        }
      </Loaded>
      {restoring && <Restore name={restoring} onClose={() => setRestoring(null)} again={data.again} />}
    </Page>
  );
}
