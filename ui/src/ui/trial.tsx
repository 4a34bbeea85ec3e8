// Changes that go back by themselves unless they are confirmed: the choice, and the reminder.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../api";
import { t, time } from "../i18n";
import { path, route } from "../router";
import { mayWriteAll } from "../session";
import { Check } from "./fields";
import { Button, Link, notice } from "./parts";

export type Change = {
  id: number;
  time: number;
  by: string;
  from: string;
  via: string;
  act: string;
  what: string;
  undoes: number;
  undone: number;
  until: number;
  file_count: number;
  files: string[];
};

const TRIAL_SECONDS = 600;
const LOOK_AGAIN_MS = 30000;

const trying = signal(false);
/** Counts what changed about trials here. */
export const trialTurn = signal(0);
const waiting = signal<Change[]>([]);

/** What a change's request says about it; then the reminder looks for it. */
export function tried(): { confirm_within?: number } {
  if (!trying.value) return {};
  setTimeout(() => trialTurn.value++, 1000);
  return { confirm_within: TRIAL_SECONDS };
}

export function TrialChoice() {
  if (!mayWriteAll()) return null;
  return (
    <Check
      label={t("trial.choice")}
      help={t("trial.help")}
      value={trying.value}
      onChange={(on) => (trying.value = on)}
    />
  );
}

/** What waits to be confirmed, above each page. */
export function Trials() {
  const turn = trialTurn.value;
  useEffect(() => {
    let gone = false;
    const look = () =>
      get<{ rows: Change[] }>("/history?waiting=1").then(
        (found) => gone || (waiting.value = found.rows),
        () => undefined,
      );
    if (!mayWriteAll()) return;
    void look();
    const timer = setInterval(look, LOOK_AGAIN_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [turn, path.value]);
  const order = async (c: Change, word: "confirm" | "undo") => {
    await post("/history/" + c.id, { order: word });
    notice("good", t(word === "undo" ? "history.was-undone" : "trial.confirmed"));
    waiting.value = waiting.value.filter((w) => w.id !== c.id);
    trialTurn.value++;
  };
  return (
    <>
      {waiting.value.map((c) => (
        <div key={c.id} class="notice warn" role="status">
          <span>
            <Link to={route("/history", String(c.id))}>{t("history.change", { id: c.id })}</Link>{" "}
            {t("trial.waits", { files: c.files.join(", "), time: time(c.until) })}
          </span>
          <Button kind="primary" onClick={() => order(c, "confirm")}>
            {t("trial.confirm")}
          </Button>
          <Button onClick={() => order(c, "undo")}>{t("trial.undo-now")}</Button>
        </div>
      ))}
    </>
  );
}
