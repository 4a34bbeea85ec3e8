// Where the reader is: path and query of the page, without a reload.
import { signal } from "@preact/signals";

export const path = signal(location.pathname);
const query = signal(location.search);

function look(): void {
  path.value = location.pathname;
  query.value = location.search;
}
addEventListener("popstate", look);

export function go(to: string): void {
  if (to !== location.pathname + location.search) history.pushState(null, "", to);
  look();
  scrollTo(0, 0);
}

/** A parameter of the query; empty when it isn't there. */
export function param(name: string): string {
  return new URLSearchParams(query.value).get(name) ?? "";
}

/** Sets parameters where the reader is; empty ones go. The history gets no entry. */
export function setParams(values: Record<string, string>): void {
  const all = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "") all.delete(name);
    else all.set(name, value);
  }
  const text = all.toString();
  history.replaceState(null, "", location.pathname + (text ? "?" + text : ""));
  look();
}

/** For links: a plain click stays in the page. */
export function follow(event: MouseEvent): void {
  const link = event.currentTarget as HTMLAnchorElement;
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

/** A path of names, each encoded: route("/accounts", "example.org", "a/b"). */
export function route(base: string, ...names: string[]): string {
  return [base, ...names.map(encodeURIComponent)].join("/");
}

/** The names behind base in the path of the page, or null when it is another page. */
export function names(base: string, count: number): string[] | null {
  if (!path.value.startsWith(base + "/")) return null;
  const parts = path.value.slice(base.length + 1).split("/");
  if (parts.length !== count || parts.includes("")) return null;
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return null;
  }
}
