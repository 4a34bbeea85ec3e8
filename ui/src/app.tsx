// The frame: sign-in, menu, the page of the path.
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, whenConfirmNeeded, whenSignedOut } from "./api";
import { lang, setLang, t, type Key } from "./i18n";
import { AccountPage } from "./pages/account";
import { Accounts } from "./pages/accounts";
import { Admins } from "./pages/admins";
import { Aliases } from "./pages/aliases";
import { Audit } from "./pages/audit";
import { Backups } from "./pages/backups";
import { Blocked } from "./pages/blocked";
import { BlockLists } from "./pages/blocklists";
import { Bulk } from "./pages/bulk";
import { Delegates } from "./pages/delegates";
import { DelegationPage } from "./pages/delegation";
import { DomainPage } from "./pages/domain";
import { DomainDns } from "./pages/domaindns";
import { Domains } from "./pages/domains";
import { Emergency } from "./pages/emergency";
import { Explain } from "./pages/explain";
import { Filters } from "./pages/filters";
import { FilterTest } from "./pages/filtertest";
import { GroupPage, Groups } from "./pages/groups";
import { History, HistoryPage } from "./pages/history";
import { ListPage } from "./pages/list";
import { Lists } from "./pages/lists";
import { LogPage, Logs } from "./pages/logs";
import { MessagePage } from "./pages/message";
import { Manual } from "./pages/manual";
import { Overview } from "./pages/overview";
import { Queue } from "./pages/queue";
import { RemovedPage } from "./pages/removed";
import { Security } from "./pages/security";
import { Settings } from "./pages/settings";
import { Setup } from "./pages/setup";
import { SignIn } from "./pages/signin";
import { SignIns } from "./pages/signins";
import { Tokens } from "./pages/tokens";
import { TracePage } from "./pages/trace";
import { Statistics } from "./pages/statistics";
import { TablePage, Tables } from "./pages/tables";
import { Tls } from "./pages/tls";
import { Warnings } from "./pages/warnings";
import { names, path } from "./router";
import { isDelegate, isOwner, load, mayWrite, session, signOut } from "./session";
import { Button, FormDialog, Link, Notices, Page, TextField, notice } from "./ui/parts";
import { Trials } from "./ui/trial";

type Row = { path: string; name: Key; page: ComponentType; may?: () => boolean };
const menu: { name: Key | null; rows: Row[] }[] = [
  { name: null, rows: [{ path: "/", name: "nav.overview", page: Overview }] },
  {
    name: "nav.group.mail",
    rows: [
      { path: "/domains", name: "nav.domains", page: Domains },
      { path: "/accounts", name: "nav.accounts", page: Accounts },
      { path: "/lists", name: "nav.lists", page: Lists },
      { path: "/aliases", name: "nav.aliases", page: Aliases },
      { path: "/groups", name: "nav.groups", page: Groups },
      { path: "/bulk", name: "nav.bulk", page: Bulk },
      { path: "/removed", name: "nav.removed", page: RemovedPage },
    ],
  },
  {
    name: "nav.group.operate",
    rows: [
      { path: "/warnings", name: "nav.warnings", page: Warnings },
      { path: "/statistics", name: "nav.statistics", page: Statistics },
      { path: "/queue", name: "nav.queue", page: Queue },
      { path: "/trace", name: "nav.trace", page: TracePage },
      { path: "/emergency", name: "nav.emergency", page: Emergency },
      { path: "/backups", name: "nav.backups", page: Backups, may: isOwner },
      { path: "/logs", name: "nav.logs", page: Logs, may: mayWrite },
    ],
  },
  {
    name: "nav.group.server",
    rows: [
      { path: "/setup", name: "nav.setup", page: Setup },
      { path: "/security", name: "nav.access", page: Security },
      { path: "/blocked", name: "nav.blocked", page: Blocked },
      { path: "/explain", name: "nav.explain", page: Explain },
      { path: "/filters", name: "nav.filters", page: Filters },
      { path: "/tls", name: "nav.tls", page: Tls },
      { path: "/settings", name: "nav.settings", page: Settings },
      { path: "/tables", name: "nav.tables", page: Tables },
      { path: "/history", name: "nav.history", page: History, may: mayWrite },
    ],
  },
  {
    name: "nav.group.you",
    rows: [
      { path: "/sign-ins", name: "nav.security", page: SignIns },
      { path: "/admins", name: "nav.admins", page: Admins, may: isOwner },
      { path: "/delegates", name: "delegates.title", page: Delegates, may: isOwner },
      { path: "/tokens", name: "nav.tokens", page: Tokens },
      { path: "/audit", name: "nav.audit", page: Audit, may: mayWrite },
      { path: "/manual", name: "manual.title", page: Manual },
    ],
  },
];

/* What administrators of some domains have of it. */
const delegated = ["/", "/domains", "/accounts", "/lists", "/aliases", "/statistics", "/sign-ins", "/tokens", "/audit", "/manual"];
const mayOpen = (row: Row) => (row.may?.() ?? true) && (!isDelegate() || delegated.includes(row.path));
const groups = () => menu.map((g) => ({ ...g, rows: g.rows.filter(mayOpen) })).filter((g) => g.rows.length > 0);

function NotFound() {
  return (
    <Page title="404">
      <p>{t("app.not-found")}</p>
    </Page>
  );
}

function Current() {
  if (path.value === "/" && isDelegate()) return <DelegationPage />;
  const row = groups()
    .flatMap((g) => g.rows)
    .find((r) => r.path === path.value);
  if (row) return <row.page />;
  const [account, list, domain] = [names("/accounts", 2), names("/lists", 2), names("/domains", 1)];
  if (account) return <AccountPage key={path.value} domain={account[0]!} name={account[1]!} />;
  if (list) return <ListPage key={path.value} domain={list[0]!} name={list[1]!} />;
  if (domain) return <DomainPage key={path.value} domain={domain[0]!} />;
  const group = names("/groups", 1);
  if (group && !isDelegate()) return <GroupPage key={path.value} id={group[0]!} />;
  const message = names("/messages", 1);
  if (message) return <MessagePage key={path.value} id={message[0]!} />;
  const change = names("/history", 1);
  if (change) return <HistoryPage key={path.value} id={change[0]!} />;
  const log = names("/logs", 1);
  if (log) return <LogPage key={path.value} name={log[0]!} />;
  if (path.value === "/filter-test" && mayWrite()) return <FilterTest />;
  if (path.value === "/block-lists") return <BlockLists />;
  const dns = names("/domains", 2);
  if (dns && dns[1] === "dns") return <DomainDns key={path.value} domain={dns[0]!} />;
  const table = names("/tables", 1);
  if (table) return <TablePage key={path.value} path={table[0]!} />;
  return <NotFound />;
}

/* The password once more, before something dangerous. */
const asking = signal<((given: boolean) => void) | null>(null);
whenConfirmNeeded(() => new Promise((resolve) => (asking.value = resolve)));

function Confirm() {
  const [password, setPassword] = useState("");
  const end = (given: boolean) => {
    asking.value?.(given);
    asking.value = null;
    setPassword("");
  };
  if (!asking.value) return null;
  return (
    <FormDialog
      title={t("confirm.title")}
      text={t("confirm.text")}
      submit={t("confirm.do")}
      onClose={() => end(false)}
      onSubmit={async () => {
        await post("/session/confirm", { password });
        end(true);
      }}
    >
      <TextField
        label={t("signin.password")}
        type="password"
        autocomplete="current-password"
        value={password}
        onInput={setPassword}
        required
        autofocus
      />
    </FormDialog>
  );
}

function Menu() {
  const [open, setOpen] = useState(false);
  const here = path.value;
  useEffect(() => setOpen(false), [here]);
  return (
    <nav class={"side" + (open ? " open" : "")} aria-label={t("app.menu")}>
      <div class="brand">
        <img src="/icon.svg" alt="" width="28" height="28" />
        <strong>{t("app.name")}</strong>
        <button type="button" class="burger" aria-expanded={open} onClick={() => setOpen(!open)}>
          {t("app.menu")}
        </button>
      </div>
      <div class="places">
        {groups().map((group) => (
          <div key={group.name} role="group" aria-label={group.name ? t(group.name) : undefined}>
            {group.name && <p aria-hidden="true">{t(group.name)}</p>}
            <ul>
              {group.rows.map((row) => (
                <li key={row.path}>
                  <Link to={row.path} current={here === row.path || (row.path !== "/" && here.startsWith(row.path + "/"))}>
                    {t(row.name)}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </div>
      <div class="foot">
        <p>{t("app.signed-in-as", { name: session.value?.name ?? "" })}</p>
        <Button kind="quiet" onClick={() => setLang(lang.value === "en" ? "ja" : "en")}>
          <span lang={lang.value === "en" ? "ja" : "en"}>{t("app.language")}</span>
        </Button>
        <Button kind="quiet" onClick={signOut}>
          {t("app.sign-out")}
        </Button>
      </div>
    </nav>
  );
}

export function App() {
  useEffect(() => {
    whenSignedOut(() => {
      if (session.value) notice("bad", t("signin.ended"));
      session.value = null;
    });
    void load();
  }, []);
  /* Who reads with a screen reader or the keyboard goes on in the new page. */
  const last = useRef(path.value);
  useEffect(() => {
    if (last.current !== path.value) document.getElementById("content")?.focus({ preventScroll: true });
    last.current = path.value;
  }, [path.value]);
  if (session.value === undefined) return <p class="loading">{t("app.loading")}</p>;
  if (session.value === null)
    return (
      <>
        <SignIn />
        <Notices />
      </>
    );
  return (
    <>
      <a class="skip" href="#content">
        {t("app.skip")}
      </a>
      <div class="frame">
        <Menu />
        <main id="content" tabIndex={-1}>
          <Trials />
          <Current />
        </main>
      </div>
      <Confirm />
      <Notices />
    </>
  );
}
