// The parts that pages are made of.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { t, type Key } from "../i18n";
import manual from "../manual.json";
import { messages } from "../messages";
import { follow, path } from "../router";
import { said } from "../said";

/** up: where the page belongs to, [path, name], shown above its title. */
/** What of the manual is about this page: of its path, or of the longest one above it. */
function manualPart(at: string): string | undefined {
  const parts: Record<string, string> = manual;
  for (let base = at; base.length > 1; base = base.slice(0, base.lastIndexOf("/"))) if (parts[base]) return parts[base];
  return at === "/" ? parts["/"] : undefined;
}

export function Page(props: {
  title: string;
  up?: [string, string][];
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  const part = manualPart(path.value);
  useEffect(() => {
    document.title = props.title + " – " + t("app.name");
  }, [props.title]);
  return (
    <>
      <header class="page-head">
        <div>
          {props.up && (
            <nav class="up" aria-label={t("app.up")}>
              {props.up.map(([to, name]) => (
                <Link key={to} to={to}>
                  {name}
                </Link>
              ))}
            </nav>
          )}
          <h1>{props.title}</h1>
        </div>
        <div class="actions">
          {props.actions}
          {part && (
            <Link to={"/manual?part=" + part} class="manual-link">
              {t("manual.link")}
            </Link>
          )}
        </div>
      </header>
      {props.children}
    </>
  );
}

export function Link(props: { to: string; children: ComponentChildren; current?: boolean; class?: string }) {
  return (
    <a href={props.to} onClick={follow} class={props.class} aria-current={props.current ? "page" : undefined}>
      {props.children}
    </a>
  );
}

type ButtonProps = {
  children: ComponentChildren;
  onClick?: () => unknown;
  kind?: "primary" | "danger" | "quiet";
  type?: "button" | "submit";
  disabled?: boolean;
  label?: string;
};
/** A click's work is shown as busy; its failure as a notice. */
export function Button(props: ButtonProps) {
  const [busy, setBusy] = useState(false);
  const click = async () => {
    if (!props.onClick) return;
    const work = props.onClick();
    if (!(work instanceof Promise)) return;
    setBusy(true);
    try {
      await work;
    } catch (e) {
      notice("bad", problem(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type={props.type ?? "button"}
      class={"button " + (props.kind ?? "")}
      onClick={props.type === "submit" ? undefined : click}
      disabled={props.disabled || busy}
      aria-busy={busy}
      aria-label={props.label}
      title={props.label}
    >
      {props.children}
    </button>
  );
}

type FieldProps = {
  label: string;
  help?: string;
  error?: string;
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => JSX.Element;
};
export function Field(props: FieldProps) {
  const id = useId();
  const described = props.error || props.help ? id + "-help" : undefined;
  return (
    <div class={"field" + (props.error ? " bad" : "")}>
      <label for={id}>{props.label}</label>
      {props.children({
        id,
        ...(described ? { "aria-describedby": described } : {}),
        ...(props.error ? { "aria-invalid": true } : {}),
      })}
      {described && (
        <p class="help" id={described}>
          {props.error || props.help}
        </p>
      )}
    </div>
  );
}

export function TextField(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  help?: string;
  error?: string;
  type?: "text" | "password" | "email" | "number" | "search" | "date";
  autocomplete?: string;
  required?: boolean;
  autofocus?: boolean;
  placeholder?: string;
}) {
  return (
    <Field label={props.label} help={props.help} error={props.error}>
      {(ids) => (
        <input
          {...ids}
          type={(props.type ?? "text") as "text"}
          value={props.value}
          onInput={(e) => props.onInput(e.currentTarget.value)}
          autocomplete={props.autocomplete ?? "off"}
          required={props.required}
          autofocus={props.autofocus}
          placeholder={props.placeholder}
          spellcheck={false}
        />
      )}
    </Field>
  );
}

/** A modal window; closing it without a choice is onClose. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={ref} aria-labelledby={title} onCancel={(e) => (e.preventDefault(), props.onClose())}>
      <h2 id={title}>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

/** A form in a dialog; what goes wrong is said in it. onSubmit's "stay" keeps it open. */
export function FormDialog(props: {
  title: string;
  text?: string;
  submit: string;
  danger?: boolean;
  disabled?: boolean;
  onClose: () => void;
  onSubmit: () => Promise<unknown>;
  children?: ComponentChildren;
}) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      if ((await props.onSubmit()) !== "stay") props.onClose();
    } catch (why) {
      setError(problem(why));
      setBusy(false);
    }
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit}>
        {props.text && <p>{props.text}</p>}
        {props.children}
        {error && (
          <p class="notice bad" role="alert">
            {error}
          </p>
        )}
        <div class="actions end">
          <Button onClick={props.onClose}>{t("app.cancel")}</Button>
          <Button type="submit" kind={props.danger ? "danger" : "primary"} disabled={busy || props.disabled}>
            {props.submit}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function Badge(props: { kind?: "good" | "bad" | "warn"; children: ComponentChildren }) {
  return <span class={"badge " + (props.kind ?? "")}>{props.children}</span>;
}

/** A table; where the window is narrow each row is a card, whose values have their columns' names before them. */
export function Grid(props: { label: string; head: ComponentChildren[]; children: ComponentChildren }) {
  const table = useRef<HTMLTableElement>(null);
  useEffect(() => {
    const names = [...(table.current?.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent ?? "");
    for (const row of table.current?.tBodies[0]?.rows ?? []) {
      row.setAttribute("role", "row"); // drawn as cards, they would lose it
      [...row.cells].forEach((cell, i) => {
        cell.setAttribute("role", "cell");
        cell.setAttribute("data-column", names[i] ?? "");
      });
    }
  });
  return (
    <div class="grid" role="region" aria-label={props.label} tabIndex={0}>
      <table ref={table} role="table">
        <thead role="rowgroup">
          <tr role="row">
            {props.head.map((h, i) => (
              <th key={i} scope="col" role="columnheader">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">{props.children}</tbody>
      </table>
    </div>
  );
}

/* --- notices: what was done, what went wrong --- */

type Action = { name: string; run: () => Promise<unknown> };
type Notice = { id: number; kind: "good" | "bad"; text: string; action?: Action };
const notices = signal<Notice[]>([]);
let last = 0;

export function notice(kind: Notice["kind"], text: string, action?: Action): void {
  const id = ++last;
  notices.value = [...notices.value, { id, kind, text, ...(action ? { action } : {}) }];
  if (kind === "good") setTimeout(() => dismiss(id), action ? 20000 : 4000);
}
function dismiss(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}
export function Notices() {
  return (
    <div class="notices" aria-live="polite">
      {notices.value.map((n) => (
        <div key={n.id} class={"notice " + n.kind} role={n.kind === "bad" ? "alert" : "status"}>
          <span>{n.text}</span>
          {n.action && (
            <Button
              onClick={async () => {
                await n.action!.run();
                dismiss(n.id);
              }}
            >
              {n.action.name}
            </Button>
          )}
          <button type="button" onClick={() => dismiss(n.id)} aria-label={t("app.close")}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}

/** What went wrong, in words. */
export function problem(e: unknown): string {
  if (!(e instanceof ApiError)) return e instanceof Error ? e.message : String(e);
  for (const key of ["error.number." + e.number, `error.${e.code}.${e.values.kind}`, "error." + e.code])
    if (key in messages) return t(key as Key, { ...e.values, detail: said(e.message) });
  return said(e.message);
}

/* --- what the server knows --- */

/** Loads when `key` changes; `again` loads once more. keep: the old value stays until the new one is there. */
export function useData<T>(key: string, load: () => Promise<T>, keep = false) {
  const [state, setState] = useState<{ key: string; value?: T; error?: unknown }>({ key });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    load().then(
      (value) => gone || setState({ key, value }),
      (error) => gone || setState({ key, error }),
    );
    return () => {
      gone = true;
    };
  }, [key, turn]);
  const known = state.key === key;
  return {
    value: known || keep ? state.value : undefined,
    error: known ? state.error : undefined,
    fresh: known && state.value !== undefined,
    again: () => setTurn((n) => n + 1),
    set: (value: T) => setState({ key, value }),
  };
}

/** Its children when the data is there; else that it is loading, or what went wrong. */
export function Loaded<T>(props: {
  data: { value: T | undefined; error: unknown; again: () => void };
  children: (value: T) => ComponentChildren;
}) {
  if (props.data.value !== undefined) return <>{props.children(props.data.value)}</>;
  if (props.data.error !== undefined)
    return (
      <div class="notice bad" role="alert">
        <span>{problem(props.data.error)}</span>
        <Button onClick={props.data.again}>{t("app.retry")}</Button>
      </div>
    );
  return <p class="loading">{t("app.loading")}</p>;
}
