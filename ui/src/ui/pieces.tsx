// Long lists: searched and read in pieces.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { number, t } from "../i18n";
import { param, setParams } from "../router";
import { Button, Field, useData } from "./parts";

export const PIECE = 50;

/** The value as it was when nothing was typed for a moment. */
export function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 150);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

type Piece<T> = { total: number; rows: T[] };

/** A piece of the list at url (with or without a query); the search and the place are kept in the page's address. */
export function usePieces<T, P extends Piece<T> = Piece<T>>(url: string) {
  const search = param("search");
  const offset = Number(param("offset")) || 0;
  const settled = useSettled(search);
  const full = `${url}${url.includes("?") ? "&" : "?"}offset=${offset}&limit=${PIECE}&search=${encodeURIComponent(settled)}`;
  const data = useData(full, () => get<P>(full), true);
  return {
    data,
    url: full,
    search,
    offset,
    setSearch: (text: string) => setParams({ search: text, offset: "" }),
    setOffset: (n: number) => setParams({ offset: n > 0 ? String(n) : "" }),
  };
}
type Pieces = Pick<ReturnType<typeof usePieces>, "search" | "offset" | "setSearch" | "setOffset">;

export function Search(props: { pieces: Pieces; label?: string }) {
  return (
    <input
      type="search"
      class="search"
      placeholder={props.label ?? t("app.search")}
      aria-label={props.label ?? t("app.search")}
      value={props.pieces.search}
      onInput={(e) => props.pieces.setSearch(e.currentTarget.value)}
    />
  );
}

export function Pager(props: { pieces: Pieces; total: number; shown: number }) {
  const { offset, setOffset } = props.pieces;
  if (props.total <= PIECE && offset === 0) return null;
  return (
    <div class="actions pager">
      <Button disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PIECE))}>
        {t("app.previous")}
      </Button>
      <span>{t("app.rows", { from: number(offset + 1), to: number(offset + props.shown), total: number(props.total) })}</span>
      <Button disabled={offset + PIECE >= props.total} onClick={() => setOffset(offset + PIECE)}>
        {t("app.next")}
      </Button>
    </div>
  );
}

/** What there is, or that there is nothing (for this search). */
export function Rows(props: { pieces: Pieces; count: number; none: string; children: ComponentChildren }) {
  if (props.count > 0) return <>{props.children}</>;
  return <p class="quiet">{props.pieces.search ? t("app.no-match") : props.none}</p>;
}

/* --- domains --- */

export type DomainRow = { domain: string };
export const useDomains = () => useData("domains", () => get<DomainRow[]>("/domains"));

/** Which domain the list is of; its choice is kept in the page's address. */
export function DomainChoice(props: { all: boolean; domains: DomainRow[] }) {
  if (props.domains.length < 2) return null;
  return (
    <Field label={t("domains.name")}>
      {(ids) => (
        <select {...ids} value={param("domain")} onChange={(e) => setParams({ domain: e.currentTarget.value, offset: "" })}>
          {props.all && <option value="">{t("domains.all")}</option>}
          {props.domains.map((d) => (
            <option key={d.domain} value={d.domain}>
              {d.domain}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
