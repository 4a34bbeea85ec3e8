import { useState } from "preact/hooks";
import { ApiError } from "../api";
import { lang, setLang, t } from "../i18n";
import { signIn } from "../session";
import { Button, TextField, problem } from "../ui/parts";

export function SignIn() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState<string | null>(null); // null: not asked for
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      await signIn(name, password, code ?? "");
    } catch (why) {
      const word = why instanceof ApiError ? why.code : "";
      if (word === "second-factor") setCode("");
      const wrong = code === null ? t("signin.wrong") : t("signin.wrong-code");
      setError(word === "second-factor" ? "" : word === "wrong" ? wrong : word === "wait" ? t("signin.wait") : problem(why));
      setBusy(false);
    }
  };
  return (
    <main class="signin">
      <form onSubmit={submit}>
        <img src="/icon.svg" alt="" width="48" height="48" />
        <h1>{t("app.name")}</h1>
        <TextField label={t("signin.name")} value={name} onInput={setName} autocomplete="username" required autofocus />
        <TextField
          label={t("signin.password")}
          type="password"
          value={password}
          onInput={setPassword}
          autocomplete="current-password"
          required
        />
        {code !== null && (
          <TextField
            label={t("signin.code")}
            help={t("signin.code-help")}
            value={code}
            onInput={setCode}
            autocomplete="one-time-code"
            required
            autofocus
          />
        )}
        {error && (
          <p class="notice bad" role="alert">
            {error}
          </p>
        )}
        <Button type="submit" kind="primary" disabled={busy}>
          {t("signin.do")}
        </Button>
        <Button kind="quiet" onClick={() => setLang(lang.value === "en" ? "ja" : "en")}>
          <span lang={lang.value === "en" ? "ja" : "en"}>{t("app.language")}</span>
        </Button>
      </form>
    </main>
  );
}
