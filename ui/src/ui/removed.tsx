// Removing what can be brought back.
import { get, post, remove } from "../api";
import { t } from "../i18n";
import { isDelegate } from "../session";
import { notice } from "./parts";

export type Removed = { id: string; what: string; when: string };

/** Removes what lies at path, and offers to undo it. */
export async function removeWithUndo(path: string, what: string, again: () => void): Promise<void> {
  await remove(path);
  const rows = isDelegate() ? [] : await get<Removed[]>("/removed"); // they ask somebody else
  const row = rows
    .filter((r) => r.what === what)
    .sort((a, b) => Number(a.when) - Number(b.when))
    .pop();
  const undo = async () => {
    await post("/removed/" + encodeURIComponent(row!.id));
    notice("good", t("removed.back", { what }));
    again();
  };
  notice("good", t("removed.done", { what }), row && { name: t("removed.undo"), run: undo });
}
