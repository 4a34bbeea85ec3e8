// The page of a long list of addresses here: accounts, mailing lists.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { number, t, type Key } from "../i18n";
import { param, route } from "../router";
import { mayWrite } from "../session";
import { Badge, Button, Grid, Link, Loaded, Page } from "./parts";
import { DomainChoice, Pager, Rows, Search, useDomains, usePieces, type DomainRow } from "./pieces";

export type AddressRow = { domain: string; name: string; real_name?: string; receive?: boolean };

/** base: the path of their own pages; form: makes a new one; badges, cells: what a row has besides address and name. */
export function AddressList<R extends AddressRow>(props: {
  pieces: ReturnType<typeof usePieces<R>>;
  base: string;
  words: Record<"title" | "of" | "add" | "none" | "count", Key>;
  head: string[];
  badges?: (row: R) => ComponentChildren;
  cells?: (row: R) => ComponentChildren;
  form: (domains: DomainRow[], close: () => void) => ComponentChildren;
}) {
  const { pieces, words } = props;
  const domain = param("domain");
  const domains = useDomains();
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={domain ? t(words.of, { domain }) : t(words.title)}
      up={domain ? [[route("/domains", domain), domain]] : undefined}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)} disabled={!domains.value?.length}>
            {t(words.add)}
          </Button>
        )
      }
    >
      <div class="filters">
        <DomainChoice all domains={domains.value ?? []} />
        <Search pieces={pieces} label={t("accounts.search")} />
      </div>
      <Loaded data={pieces.data}>
        {(now) => (
          <Rows pieces={pieces} count={now.rows.length} none={t(words.none)}>
            <p class="quiet" role="status">
              {t(words.count, { n: number(now.total) })}
            </p>
            <Grid label={t(words.title)} head={props.head}>
              {now.rows.map((r) => (
                <tr key={r.name + "@" + r.domain}>
                  <td>
                    <Link to={route(props.base, r.domain, r.name)}>
                      {r.name}
                      <wbr />
                      <span class="quiet">@{r.domain}</span>
                    </Link>{" "}
                    {r.receive === false && <Badge kind="bad">{t("accounts.no-receive")}</Badge>}
                    {props.badges?.(r)}
                  </td>
                  <td>{r.real_name === "??" ? "" : r.real_name}</td>
                  {props.cells?.(r)}
                </tr>
              ))}
            </Grid>
            <Pager pieces={pieces} total={now.total} shown={now.rows.length} />
          </Rows>
        )}
      </Loaded>
      {adding && domains.value && props.form(domains.value, () => setAdding(false))}
    </Page>
  );
}
