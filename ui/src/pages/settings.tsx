import { useState } from "preact/hooks";
import { ApiError, get, patch } from "../api";
import { either, t, type Key } from "../i18n";
import { messages } from "../messages";
import { param, setParams } from "../router";
import { mayWrite } from "../session";
import { Choice } from "../ui/fields";
import { RestartButton } from "../ui/restart";
import { Badge, Button, Field, Loaded, Page, notice, problem, useData } from "../ui/parts";
import { TrialChoice, tried } from "../ui/trial";

type Option = {
  name: string;
  kind: "bool" | "int" | "kb" | "seconds" | "text" | "listen" | "scheme";
  group: string;
  xmail: string | null;
  fresh: string | null;
  restart: boolean;
  en: string;
  ja: string;
  range?: [number, number];
  obeyed: boolean;
  waits: boolean;
  value: string | null;
};
export type Options = { version: string; origin: "new" | "taken-over"; options: Option[] };
type Changes = Record<string, string | null>;

const order = ["SERVER", "SERVICES", "GATES", "LIMITS", "ROUTING", "REPORTS", "FETCHING", "TLS", "LOGS"];
const schemes = ["scram", "yescrypt", "xmcrypt"];

const shown = (value: string | null) => (value === null ? t("app.not-set") : value === "" ? t("app.empty") : value);

function groupName(group: string): string {
  const key = "settings.group." + group;
  return t(key in messages ? (key as Key) : "settings.group.other");
}

function Control(props: {
  option: Option;
  value: string | null;
  standard: string | null;
  ids: object;
  set: (value: string | null) => void;
}) {
  const { option: o, value, set, ids } = props;
  const disabled = !mayWrite();
  if (o.kind === "bool" || o.kind === "scheme") {
    const choices = o.kind === "bool" ? ["1", "0"] : schemes;
    const name = (c: string) => (o.kind === "bool" ? (c === "1" ? t("app.on") : t("app.off")) : c);
    const standard = props.standard !== null && choices.includes(props.standard) ? name(props.standard) : shown(props.standard);
    return (
      <select
        {...ids}
        value={value ?? "-"}
        disabled={disabled}
        onChange={(e) => set(e.currentTarget.value === "-" ? null : e.currentTarget.value)}
      >
        <option value="-">{t("settings.default", { value: standard })}</option>
        {choices.map((c) => (
          <option key={c} value={c}>
            {name(c)}
          </option>
        ))}
      </select>
    );
  }
  const isNumber = o.kind === "int" || o.kind === "kb" || o.kind === "seconds";
  return (
    <span class="with-unit">
      <input
        {...ids}
        type="text"
        inputMode={isNumber ? "numeric" : "text"}
        value={value ?? ""}
        placeholder={props.standard ?? t("app.not-set")}
        disabled={disabled}
        onInput={(e) => set(e.currentTarget.value)}
        spellcheck={false}
      />
      {o.kind === "kb" && <span>{t("settings.unit.KB")}</span>}
      {o.kind === "seconds" && <span>{t("settings.unit.s")}</span>}
      {value !== null && mayWrite() && (
        <Button kind="quiet" onClick={() => set(null)}>
          {t("settings.use-default")}
        </Button>
      )}
    </span>
  );
}

function Row(props: { option: Option; origin: string; changes: Changes; was?: string | null; set: (v: string | null) => void }) {
  const o = props.option;
  const changed = o.name in props.changes;
  const value = changed ? props.changes[o.name]! : o.value;
  const same = o.xmail === o.fresh;
  return (
    <div class={"setting" + (changed ? " changed" : "")}>
      <Field label={o.name} help={either(o)}>
        {(ids) => (
          <Control option={o} value={value} ids={ids} set={props.set} standard={props.origin === "new" ? o.fresh : o.xmail} />
        )}
      </Field>
      <p class="facts">
        {same
          ? t("settings.default", { value: shown(o.fresh) })
          : t("settings.both-defaults", { fresh: shown(o.fresh), xmail: shown(o.xmail) })}
        {o.range && o.range[1] > 0 && <> · {t("settings.range", { least: o.range[0], most: o.range[1] })}</>}
        {" · "}
        {o.restart ? t("settings.restart") : t("settings.live")}
        {o.waits && <Badge kind="warn">{t("settings.waits")}</Badge>}
        {!o.obeyed && <Badge>{t("settings.needless")}</Badge>}
      </p>
      {props.was !== undefined && <p class="notice bad">{t("settings.was", { value: shown(props.was) })}</p>}
    </div>
  );
}

/** What counts from the next start on, and the button for it. */
export function Waiting({ options }: { options: Option[] }) {
  const names = options.filter((o) => o.waits).map((o) => o.name);
  if (names.length === 0) return null;
  return (
    <div class="notice warn" role="status">
      <span>{t("settings.waiting", { names: names.join(", ") })}</span>
      <RestartButton />
    </div>
  );
}

export function Settings() {
  const data = useData("options", () => get<Options>("/options"));
  const [changes, setChanges] = useState<Changes>({});
  const [was, setWas] = useState<Changes>({});
  const group = param("group");
  const search = param("search");
  const setSearch = (text: string) => setParams({ search: text });
  const count = Object.keys(changes).length;

  const set = (o: Option, value: string | null) => {
    const next = { ...changes };
    if (value === o.value || (value === "" && o.value === null)) delete next[o.name];
    else next[o.name] = value;
    setChanges(next);
  };
  const save = async (now: Options) => {
    try {
      await patch("/options", { version: now.version, values: changes, ...tried() });
      setChanges({});
      setWas({});
      notice("good", t("app.saved"));
      data.again();
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== "changed") return notice("bad", problem(e));
      const fresh = await get<Options>("/options");
      const differ: Changes = {};
      for (const o of fresh.options) {
        const before = now.options.find((b) => b.name === o.name);
        if (before && before.value !== o.value && o.name in changes) differ[o.name] = o.value;
      }
      setWas(differ);
      data.set(fresh);
      notice("bad", t("settings.conflict"));
    }
  };
  const fits = (o: Option) => (o.name + " " + o.en + " " + o.ja).toLowerCase().includes(search.toLowerCase());

  return (
    <Page title={t("settings.title")}>
      <div class="filters">
        <Choice
          label={t("settings.group")}
          value={group}
          choices={[["", t("settings.all")], ...order.map((g): [string, string] => [g, groupName(g)])]}
          onChange={(g) => setParams({ group: g })}
        />
        <input
          type="search"
          class="search"
          placeholder={t("settings.search")}
          aria-label={t("settings.search")}
          value={search}
          onInput={(e) => setSearch(e.currentTarget.value)}
        />
      </div>
      <Loaded data={data}>
        {(now) => {
          const groups = [...new Set([...order, ...now.options.map((o) => o.group)])];
          return (
            <>
              <Waiting options={now.options} />
              {groups.map((g) => {
                const rows = now.options.filter((o) => o.group === g && (group === "" || g === group) && fits(o));
                return rows.length === 0 ? null : (
                  <section key={g} class="card">
                    <h2>{groupName(g)}</h2>
                    {rows.map((o) => (
                      <Row
                        key={o.name}
                        option={o}
                        origin={now.origin}
                        changes={changes}
                        was={o.name in was ? was[o.name] : undefined}
                        set={(v) => set(o, v)}
                      />
                    ))}
                  </section>
                );
              })}
              {count > 0 && (
                <div class="save-bar" role="region" aria-label={t("app.save")}>
                  <span>{t("settings.changes", { n: count })}</span>
                  <TrialChoice />
                  <Button
                    onClick={() => {
                      setChanges({});
                      setWas({});
                    }}
                  >
                    {t("settings.discard")}
                  </Button>
                  <Button kind="primary" onClick={() => save(now)}>
                    {t("app.save")}
                  </Button>
                </div>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
