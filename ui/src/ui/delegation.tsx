// What administrators of some domains may, and how much of it is used.
import { number, t, type Key } from "../i18n";

export type Delegation = {
  name: string;
  values: Record<string, string>;
  last_sign_in?: number | null;
  counts: { users: number; lists: number; aliases: number } | null;
};

export const domainsOf = (d: Delegation) => (d.values.domains ?? "").split(/\s+/).filter((x) => x !== "");
export const itemName = (item: string) => t(("delegates.item." + item) as Key);

const counted = [
  ["users", "max-users"],
  ["lists", "max-lists"],
  ["aliases", "max-aliases"],
] as const;

function Bar(props: { name: string; now: number; most: string | undefined }) {
  const most = props.most === undefined ? null : Number(props.most);
  return (
    <div class={"figure" + (most !== null && props.now >= most ? " warn" : "")}>
      <dt>{props.name}</dt>
      <dd>
        <span class="quota">
          {most !== null && (
            <meter min={0} max={Math.max(most, 1)} low={most * 0.8} high={most * 0.95} optimum={0} value={props.now} aria-label={props.name} />
          )}
          <span>{most === null ? number(props.now) : t("delegates.of", { n: number(props.now), most: number(most) })}</span>
        </span>
      </dd>
    </div>
  );
}

export function Limits({ d }: { d: Delegation }) {
  const plain = ["max-members", "max-mailbox-kb"].filter((item) => d.values[item] !== undefined);
  return (
    <dl class="figures">
      {d.counts && counted.map(([what, item]) => <Bar key={item} name={t(("delegates." + what) as Key)} now={d.counts![what]} most={d.values[item]} />)}
      {plain.map((item) => (
        <div key={item} class="figure">
          <dt>{itemName(item)}</dt>
          <dd>{number(Number(d.values[item]))}</dd>
        </div>
      ))}
    </dl>
  );
}
