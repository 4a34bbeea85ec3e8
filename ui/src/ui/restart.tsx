// Restarting the server, and having it read its settings once more.
import { useState } from "preact/hooks";
import { post } from "../api";
import { t } from "../i18n";
import { mayWrite } from "../session";
import { Button, Dialog, FormDialog, notice } from "./parts";

type Health = { healthy: boolean; since: number };

async function health(): Promise<Health | null> {
  try {
    return (await (await fetch("/health", { cache: "no-store" })).json()) as Health;
  } catch {
    return null;
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** True: it has started anew and all of it runs. */
async function isBack(since: number): Promise<boolean> {
  for (let tries = 0; tries < 240; tries++) {
    await pause(500);
    const now = await health();
    if (now?.healthy && now.since !== since) return true;
  }
  return false;
}

export function RestartButton() {
  const [state, setState] = useState<"" | "ask" | "wait">("");
  if (!mayWrite()) return null;
  const restart = async () => {
    const before = await health();
    await post("/restart");
    setState("wait");
    if (await isBack(before?.since ?? 0)) location.reload();
    else notice("bad", t("restart.late"));
    setState("");
    return "stay";
  };
  return (
    <>
      <Button onClick={() => setState("ask")}>{t("restart.do")}</Button>
      {state === "ask" && (
        <FormDialog
          title={t("restart.ask")}
          text={t("restart.text")}
          submit={t("restart.do")}
          danger
          onClose={() => setState("")}
          onSubmit={restart}
        />
      )}
      {state === "wait" && (
        <Dialog title={t("restart.do")} onClose={() => undefined}>
          <p role="status">{t("restart.under-way")}</p>
        </Dialog>
      )}
    </>
  );
}

export function ReloadButton() {
  const reload = async () => {
    await post("/reload");
    notice("good", t("restart.reloaded"));
  };
  return <Button onClick={reload}>{t("restart.reload")}</Button>;
}
