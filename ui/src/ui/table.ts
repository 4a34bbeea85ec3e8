// Tables of the MailRoot as the API gives them.
import { get, patch } from "../api";

export type Table = { path: string; kinds: string; least: number; most: number; en: string; ja: string };
export type Line = { line: number; values: string[] };
export type Rows = { version: string; table: Table; total: number; rows: Line[]; malformed: number[] };
export type Change =
  | { op: "add"; values: string[] }
  | { op: "set"; line: number; old: string[]; values: string[] }
  | { op: "remove"; line: number; old: string[] }
  | { op: "move"; line: number; old: string[]; before: number };

export const tableUrl = (path: string) => "/tables/" + path.split("/").map(encodeURIComponent).join("/");

/** The page of a table. */
export const tablePage = (path: string) => "/tables/" + encodeURIComponent(path);

/** Puts other values into the row that has these. */
export async function changeRow(path: string, old: string[], values: string[]): Promise<void> {
  const now = await get<Rows>(`${tableUrl(path)}?limit=1000&search=${encodeURIComponent(old[0] ?? "")}`);
  const row = now.rows.find((r) => r.values[0]?.toLowerCase() === old[0]?.toLowerCase());
  if (!row) throw new Error(old[0] ?? "");
  await patch(tableUrl(path), { version: now.version, changes: [{ op: "set", line: row.line, old: row.values, values }] });
}
