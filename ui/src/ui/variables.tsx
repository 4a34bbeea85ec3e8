// The variables of user.tab as a form, drawn from the server's rows.
import { useState } from "preact/hooks";
import { ApiError } from "../api";
import { either, t, type Key } from "../i18n";
import { messages } from "../messages";
import { mayWrite } from "../session";
import { Check, Choice, size } from "./fields";
import { Button, Field, notice, problem } from "./parts";

export type Variable = {
  name: string;
  kind: "bool" | "kb" | "three" | "text" | "rights";
  user: boolean;
  list: boolean;
  fresh: string | null;
  en: string;
  ja: string;
};
export type Values = Record<string, string>;
export type Changes = Record<string, string | null>;

const groups: [Key, string[]][] = [
  ["vars.posting", ["ClosedML", "ListModeration", "ListModerators"]],
  ["vars.sending", ["ListTag", "UseReplyTo", "ListSender", "ListFromRewrite"]],
  ["vars.person", ["RealName", "HomePage", "Address", "Telephone"]],
  ["vars.services", ["ReceiveEnable", "PopEnable", "Pop3ScanCur"]],
  ["vars.limits", ["MaxMBSize", "MaxMessageSize"]],
  ["vars.rights", ["SmtpPerms", "DisableEmitAuthUser"]],
];
const rightLetters = ["M", "R", "V", "T", "Z", "S"] as const;

function label(name: string): string {
  const key = "var." + name;
  return key in messages ? t(key as Key) : name;
}

/** What the label doesn't say already. */
function help(row: Variable): string | undefined {
  const text = either(row);
  const bare = (s: string) => s.replace(/[.。]$/, "");
  return bare(text) === bare(label(row.name)) ? undefined : text;
}

type ControlProps = { row: Variable; value: string | null; set: (value: string | null) => void };

function Rights(props: ControlProps) {
  const own = props.value !== null;
  const has = props.value ?? "";
  return (
    <fieldset>
      <legend>{label(props.row.name)}</legend>
      <Choice
        label={t("rights.whose")}
        value={own ? "own" : "server"}
        choices={[
          ["server", t("rights.server")],
          ["own", t("rights.own")],
        ]}
        disabled={!mayWrite()}
        onChange={(v) => props.set(v === "own" ? "MR" : null)}
      />
      {own &&
        rightLetters.map((letter) => (
          <Check
            key={letter}
            label={t(("right." + letter) as Key)}
            value={has.includes(letter)}
            disabled={!mayWrite()}
            onChange={(on) => props.set(rightLetters.filter((l) => (l === letter ? on : has.includes(l))).join(""))}
          />
        ))}
    </fieldset>
  );
}

function Kb(props: ControlProps) {
  const { row, value } = props;
  const number = Number(value);
  const meaning =
    value === null || value === "" || !Number.isFinite(number)
      ? ""
      : number === 0
        ? t("vars.no-limit")
        : "= " + size(number * 1024);
  return (
    <Field label={label(row.name)} help={help(row)}>
      {(ids) => (
        <span class="with-unit">
          <input
            {...ids}
            type="text"
            inputMode="numeric"
            pattern="[0-9]*"
            value={value ?? ""}
            placeholder={row.fresh ?? t("vars.server")}
            disabled={!mayWrite()}
            onInput={(e) => props.set(e.currentTarget.value === "" ? null : e.currentTarget.value)}
          />
          <span>KB</span>
          <span class="quiet">{meaning}</span>
        </span>
      )}
    </Field>
  );
}

function Control(props: ControlProps) {
  const { row, value, set } = props;
  const name = label(row.name);
  if (row.kind === "rights") return <Rights {...props} />;
  if (row.kind === "kb") return <Kb {...props} />;
  if (row.kind === "bool")
    return (
      <Check
        label={name}
        help={help(row)}
        value={(value ?? row.fresh) === "1"}
        disabled={!mayWrite()}
        onChange={(on) => set(on ? "1" : "0")}
      />
    );
  if (row.kind === "three")
    return (
      <Choice
        label={name}
        value={value ?? row.fresh ?? "0"}
        choices={["0", "1", "2"].map((v) => [v, t(`var.${row.name}.${v}` as Key)])}
        disabled={!mayWrite()}
        onChange={set}
      />
    );
  return (
    <Field label={name} help={help(row)}>
      {(ids) => (
        <input
          {...ids}
          value={value ?? ""}
          disabled={!mayWrite()}
          onInput={(e) => set(e.currentTarget.value)}
          autocomplete="off"
          spellcheck={false}
        />
      )}
    </Field>
  );
}

/** save gets what changed; null takes a variable out. again: reads the values anew when others changed them. */
export function VariablesForm(props: {
  rows: Variable[];
  values: Values;
  save: (changes: Changes) => Promise<unknown>;
  again: () => void;
}) {
  const [changes, setChanges] = useState<Changes>({});
  const given = new Map(Object.entries(props.values).map(([name, value]) => [name.toLowerCase(), value]));
  const was = (row: Variable) => given.get(row.name.toLowerCase()) ?? null;
  const count = Object.keys(changes).length;
  const set = (row: Variable, value: string | null) => {
    const next = { ...changes };
    if (value === was(row) || (value === "" && was(row) === null)) delete next[row.name];
    else next[row.name] = value;
    setChanges(next);
  };
  const save = async () => {
    try {
      await props.save(changes);
      setChanges({});
      notice("good", t("app.saved"));
    } catch (e) {
      const other = e instanceof ApiError && e.code === "changed";
      notice("bad", other ? t("vars.changed") : problem(e));
      if (!other) return;
    }
    props.again();
  };
  const grouped = groups.map(([key, list]) => ({ key, rows: props.rows.filter((r) => list.includes(r.name)) }));
  const rest = props.rows.filter((r) => !groups.some(([, list]) => list.includes(r.name)));
  return (
    <>
      <div class="groups">
        {[...grouped, { key: "vars.rest" as Key, rows: rest }]
          .filter((g) => g.rows.length > 0)
          .map((g) => (
            <section key={g.key} class="card">
              <h2>{t(g.key)}</h2>
              {g.rows.map((row) => (
                <div key={row.name} class={"setting" + (row.name in changes ? " changed" : "")}>
                  <Control row={row} value={row.name in changes ? changes[row.name]! : was(row)} set={(v) => set(row, v)} />
                  {was(row) !== null &&
                    was(row) !== row.fresh &&
                    !(row.name in changes) &&
                    mayWrite() &&
                    row.kind !== "text" &&
                    row.kind !== "rights" && (
                      <Button kind="quiet" onClick={() => set(row, null)}>
                        {t("settings.use-default")}
                      </Button>
                    )}
                </div>
              ))}
            </section>
          ))}
      </div>
      {count > 0 && (
        <div class="save-bar" role="region" aria-label={t("app.save")}>
          <span>{t("settings.changes", { n: count })}</span>
          <Button onClick={() => setChanges({})}>{t("settings.discard")}</Button>
          <Button kind="primary" onClick={save}>
            {t("app.save")}
          </Button>
        </div>
      )}
    </>
  );
}
