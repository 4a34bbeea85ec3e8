// What the columns of a table are called, and what belongs there.
import { t, type Key } from "../i18n";
import { messages } from "../messages";
import type { Table } from "./table";

const filter: Key[] = ["col.sender", "col.recipient", "col.remote", "col.local", "col.filter-file"];
const words: Key[] = ["col.command", "col.argument"];
const property: Key[] = ["col.network-bits", "col.property"];
const variable: Key[] = ["col.variable", "col.value"];

/** By the table's path; others have the names of their kinds. The last one repeats. */
const named: Record<string, Key[]> = {
  "smtpauth.tab": ["col.login", "col.password", "col.rights"],
  "smtpextauth.tab": ["col.mechanism", "col.argument"],
  "ctrlaccounts.tab": ["col.login", "col.password"],
  "smtpgw.tab": ["col.destination", "col.servers"],
  "smtpfwd.tab": ["col.destination", "col.servers"],
  "spammers.tab": ["tables.kind.I", "tables.kind.M", "col.drop-code"],
  "limits.tab": ["col.limit-whom", "col.limit-what", "col.limit-count", "col.limit-window", "col.limit-action"],
  "spam-address.tab": ["col.spam-address"],
  "domains/*/*/refuse.tab": ["col.spam-address"],
  "smtp.ipprop.tab": property,
  "smtp.hnprop.tab": ["col.host-name", "col.property"],
  "filters.in.tab": filter,
  "filters.out.tab": filter,
  "filters.post-rcpt.tab": words,
  "filters.pre-data.tab": words,
  "filters.post-data.tab": words,
  "filters/*.tab": words,
  "userdef.tab": variable,
  "domains/*/userdef.tab": variable,
  "domains/*/*/user.tab": variable,
  "domains/*/mailproc.tab": words,
  "domains/*/*/mailproc.tab": words,
  "custdomains/*.tab": words,
  "cmdaliases/*/*.tab": words,
  "userauth/pop3/*.tab": ["col.action", "col.argument"],
  "aliases.tab": ["tables.kind.D", "aliases.alias", "aliases.target"],
  "extaliases.tab": ["col.remote-domain", "col.remote-name", "tables.kind.D", "aliases.account"],
  "aliasdomain.tab": ["aliases.other-domain", "aliases.real-domain"],
  "pop3links.tab": ["tables.kind.D", "aliases.account", "links.server", "links.user", "col.password", "links.how"],
};

export const kindOf = (table: Table, i: number) => table.kinds[Math.min(i, table.kinds.length - 1)] ?? "T";

function keyOf(table: Table, i: number): Key | null {
  const keys = named[table.path];
  if (keys) return keys[Math.min(i, keys.length - 1)]!;
  const key = "tables.kind." + kindOf(table, i);
  return key in messages && i < table.kinds.length ? (key as Key) : null;
}

export function columnName(table: Table, i: number): string {
  const key = keyOf(table, i);
  if (!key || key === "tables.kind.T") return t("tables.column", { n: i + 1 });
  const repeated = (named[table.path]?.length ?? table.kinds.length) - 1;
  return i > repeated ? `${t(key)} ${i - repeated + 1}` : t(key);
}

export function columnHelp(table: Table, i: number): string | undefined {
  const key = keyOf(table, i) + "-help";
  return key in messages ? t(key as Key) : undefined;
}
