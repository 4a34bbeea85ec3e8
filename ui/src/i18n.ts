// Words of the pages in both languages, from one catalogue: a key without both doesn't compile.
import { signal } from "@preact/signals";
import { messages } from "./messages";

export type Lang = "en" | "ja";
export type Key = keyof typeof messages;

function first(): Lang {
  const kept = localStorage.getItem("lang");
  if (kept === "en" || kept === "ja") return kept;
  return navigator.language.startsWith("ja") ? "ja" : "en";
}

export const lang = signal<Lang>(first());

export function setLang(next: Lang): void {
  lang.value = next;
  localStorage.setItem("lang", next);
  document.documentElement.lang = next;
}
document.documentElement.lang = lang.value;

/** The text of a key; {name} stands for a value. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(messages[key][lang.value === "en" ? 0 : 1], values);
}

/** {name} in the text stands for a value, {name|entry|entries} for the word that fits it. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = String(values[name] ?? "");
    return (value === "1" ? one : many) ?? value;
  });
}

/** Of a pair that the server sends. */
export function either(row: { en: string; ja: string }): string {
  return lang.value === "en" ? row.en : row.ja;
}

export function number(n: number): string {
  return new Intl.NumberFormat(lang.value).format(n);
}

export function day(seconds: number): string {
  return new Intl.DateTimeFormat(lang.value, { dateStyle: "medium" }).format(seconds * 1000);
}

export function time(seconds: number): string {
  return new Intl.DateTimeFormat(lang.value, { dateStyle: "medium", timeStyle: "short" }).format(seconds * 1000);
}
