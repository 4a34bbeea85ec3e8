// One's own password and second factor.
import { useState } from "preact/hooks";
import { encode } from "uqr";
import { post, put, remove } from "../api";
import { t } from "../i18n";
import { load, session } from "../session";
import { PasswordField } from "../ui/fields";
import { Button, Dialog, FormDialog, TextField, notice } from "../ui/parts";

export function OwnPassword() {
  const [password, setPassword] = useState<string | null>(null);
  return (
    <section class="card">
      <h2>{t("signin.password")}</h2>
      <p>{t("own.password-text")}</p>
      <Button onClick={() => setPassword("")}>{t("password.change")}</Button>
      {password !== null && (
        <FormDialog
          title={t("password.change")}
          submit={t("password.set")}
          onClose={() => setPassword(null)}
          onSubmit={async () => {
            await put("/session/password", { password });
            await load();
            notice("good", t("password.changed"));
          }}
        >
          <PasswordField value={password} onInput={setPassword} name={session.value?.name ?? ""} />
        </FormDialog>
      )}
    </section>
  );
}

/** A QR code as one path of squares. */
function Code({ text }: { text: string }) {
  const { size, data } = encode(text, { border: 2 });
  const squares = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={t("factor.qr")}>
      <path class="ground" d={`M0 0h${size}v${size}h-${size}z`} />
      <path d={squares.join("")} />
    </svg>
  );
}

type Begun = { secret: string; uri: string };

export function SecondFactor() {
  const [begun, setBegun] = useState<Begun | null>(null);
  const [code, setCode] = useState("");
  const [recovery, setRecovery] = useState<string[] | null>(null);
  const [removing, setRemoving] = useState(false);
  return (
    <section class="card">
      <h2>{t("factor.title")}</h2>
      <p>{t("factor.text")}</p>
      <div class="actions">
        <Button
          onClick={async () => {
            setCode("");
            setBegun(await post<Begun>("/session/second-factor"));
          }}
        >
          {t("factor.begin")}
        </Button>
        <Button kind="danger" onClick={() => setRemoving(true)}>
          {t("factor.remove")}
        </Button>
      </div>
      {begun && (
        <FormDialog
          title={t("factor.begin")}
          text={t("factor.scan")}
          submit={t("confirm.do")}
          onClose={() => setBegun(null)}
          onSubmit={async () => {
            const answer = await put<{ recovery_codes: string[] }>("/session/second-factor", { code: code.trim() });
            setRecovery(answer.recovery_codes);
          }}
        >
          <Code text={begun.uri} />
          <p>
            {t("factor.secret")} <code>{begun.secret}</code>
          </p>
          <TextField label={t("signin.code")} value={code} onInput={setCode} autocomplete="one-time-code" required autofocus />
        </FormDialog>
      )}
      {recovery && (
        <Dialog title={t("factor.recovery")} onClose={() => setRecovery(null)}>
          <p>{t("factor.recovery-text")}</p>
          <ul class="codes">
            {recovery.map((c) => (
              <li key={c}>
                <code>{c}</code>
              </li>
            ))}
          </ul>
          <div class="actions end">
            <Button onClick={() => navigator.clipboard.writeText(recovery.join("\n"))}>{t("password.copy")}</Button>
            <Button kind="primary" onClick={() => setRecovery(null)}>
              {t("app.close")}
            </Button>
          </div>
        </Dialog>
      )}
      {removing && (
        <FormDialog
          title={t("factor.ask-remove")}
          text={t("factor.ask-remove-text")}
          submit={t("factor.remove")}
          danger
          onClose={() => setRemoving(false)}
          onSubmit={async () => {
            await remove("/session/second-factor");
            notice("good", t("app.done"));
          }}
        />
      )}
    </section>
  );
}
