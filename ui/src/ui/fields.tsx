// Fields of forms beyond a line of text.
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { t } from "../i18n";
import { Button, Dialog, Field, TextField } from "./parts";

export function Check(props: {
  label: ComponentChildren;
  value: boolean;
  onChange: (value: boolean) => void;
  help?: string;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div class="field check">
      <input
        id={id}
        type="checkbox"
        checked={props.value}
        disabled={props.disabled}
        aria-describedby={props.help ? id + "-help" : undefined}
        onChange={(e) => props.onChange(e.currentTarget.checked)}
      />
      <label for={id}>{props.label}</label>
      {props.help && (
        <p class="help" id={id + "-help"}>
          {props.help}
        </p>
      )}
    </div>
  );
}

export type Choices = [value: string, name: string][];
export function Choice(props: {
  label: string;
  value: string;
  choices: Choices;
  onChange: (value: string) => void;
  help?: string;
  disabled?: boolean;
}) {
  return (
    <Field label={props.label} help={props.help}>
      {(ids) => (
        <select {...ids} value={props.value} disabled={props.disabled} onChange={(e) => props.onChange(e.currentTarget.value)}>
          {props.choices.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function TextArea(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  help?: string;
  rows?: number;
  required?: boolean;
  disabled?: boolean;
}) {
  return (
    <Field label={props.label} help={props.help}>
      {(ids) => (
        <textarea
          {...ids}
          rows={props.rows ?? 4}
          value={props.value}
          onInput={(e) => props.onInput(e.currentTarget.value)}
          required={props.required}
          disabled={props.disabled}
          spellcheck={false}
        />
      )}
    </Field>
  );
}

/* --- passwords --- */

const letters = "abcdefghijkmnpqrstuvwxyz23456789";

/** 16 characters that aren't taken for each other: 80 bits. */
export function freshPassword(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return [...octets].map((o) => letters[o % letters.length]).join("");
}

/** 0 to 4: how hard a password is to guess, by its length, its kinds of characters and how it repeats. */
export function strength(password: string, name: string): number {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((k) => k.test(password)).length;
  const sizes = [0, 26, 45, 62, 90];
  const different = new Set(password).size;
  let bits = (different + (password.length - different) / 2) * Math.log2(sizes[kinds] || 1);
  if (name.length > 2 && password.toLowerCase().includes(name.toLowerCase())) bits /= 2;
  if (/(?:0123|1234|abcd|qwer|passw|asdf|iloveyou|letmein)/i.test(password)) bits /= 2;
  return bits < 28 ? 0 : bits < 40 ? 1 : bits < 52 ? 2 : bits < 64 ? 3 : 4;
}

export function PasswordField(props: {
  value: string;
  onInput: (value: string) => void;
  name: string;
  label?: string;
  help?: string;
  optional?: boolean;
}) {
  const [shown, setShown] = useState(false);
  const id = useId();
  const level = strength(props.value, props.name);
  const words = [t("password.0"), t("password.1"), t("password.2"), t("password.3"), t("password.4")];
  return (
    <div class="password">
      <TextField
        label={props.label ?? t("password.new")}
        type={shown ? "text" : "password"}
        value={props.value}
        onInput={props.onInput}
        autocomplete="new-password"
        help={props.help}
        required={!props.optional}
      />
      <div class="actions">
        <Button
          onClick={() => {
            props.onInput(freshPassword());
            setShown(true);
          }}
        >
          {t("password.make")}
        </Button>
        <Button kind="quiet" onClick={() => setShown(!shown)}>
          {shown ? t("password.hide") : t("password.show")}
        </Button>
        {props.value !== "" && (
          <span class="strength">
            <label for={id}>{t("password.strength")}</label>
            <meter id={id} min={0} max={4} low={2} high={3} optimum={4} value={Math.max(level, 0.3)} />
            {words[level]}
          </span>
        )}
      </div>
    </div>
  );
}

/** A password that the server made: shown once. */
export function MadePassword(props: { password: string }) {
  return (
    <p class="made">
      <code>{props.password}</code>
      <Button onClick={() => navigator.clipboard.writeText(props.password)}>{t("password.copy")}</Button>
    </p>
  );
}

/** The same in a window of its own. */
export function MadeDialog(props: { title: string; text: string; password: string; onClose: () => void }) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p>{props.text}</p>
      <MadePassword password={props.password} />
      <div class="actions end">
        <Button kind="primary" onClick={props.onClose}>
          {t("app.close")}
        </Button>
      </div>
    </Dialog>
  );
}

/* --- mailboxes --- */

export function size(octets: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  while (octets >= 1024 && i < units.length - 1) {
    octets /= 1024;
    i++;
  }
  return (i === 0 || octets >= 100 ? Math.round(octets) : octets.toFixed(1)) + " " + units[i];
}

/** How full a mailbox is; most: 0 is no limit. */
export function Quota(props: { octets: number; mostKb: number; label: string }) {
  const most = props.mostKb * 1024;
  if (most === 0) return <span class="quota">{size(props.octets)}</span>;
  const share = Math.round((props.octets / most) * 100);
  return (
    <span class={"quota" + (share >= 100 ? " full" : "")}>
      <meter min={0} max={most} low={most * 0.8} high={most * 0.95} optimum={0} value={props.octets} aria-label={props.label} />
      <span>
        {size(props.octets)} / {size(most)}
        {share >= 80 && ` (${share} %)`}
      </span>
    </span>
  );
}
