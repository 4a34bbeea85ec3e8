// Who may do what: the tables that protect, by what they are for.
import { t, type Key } from "../i18n";
import { Link, Loaded, Page } from "../ui/parts";
import { TableCard, useTables } from "./tables";

const groups: [Key, Key, string[]][] = [
  [
    "security.access",
    "security.access-text",
    ["smtp.ipmap.tab", "pop3.ipmap.tab", "ctrl.ipmap.tab", "http.ipmap.tab", "finger.ipmap.tab"],
  ],
  ["security.sending", "security.sending-text", ["smtprelay.tab", "smtpauth.tab", "smtpextauth.tab"]],
  ["security.refused", "security.refused-text", ["spammers.tab", "spam-address.tab", "limits.tab"]],
  ["security.trusted", "security.trusted-text", ["smtp.ipprop.tab", "smtp.hnprop.tab"]],
  ["security.logins", "security.logins-text", ["ctrlaccounts.tab"]],
];

export function Security() {
  const data = useTables();
  return (
    <Page title={t("nav.access")}>
      <p>
        {t("security.intro")} <Link to="/settings?group=GATES">{t("security.settings")}</Link>
      </p>
      <ul class="cards">
        <li>
          <Link to="/explain" class="card">
            <strong>{t("nav.explain")}</strong>
            <span class="quiet">{t("security.explain")}</span>
          </Link>
        </li>
        <li>
          <Link to="/blocked" class="card">
            <strong>{t("nav.blocked")}</strong>
            <span class="quiet">{t("security.blocked")}</span>
          </Link>
        </li>
        <li>
          <Link to="/block-lists" class="card">
            <strong>{t("block.title")}</strong>
            <code>CustMapsList</code>
          </Link>
        </li>
      </ul>
      <Loaded data={data}>
        {(tables) =>
          groups.map(([title, text, paths]) => (
            <section key={title}>
              <h2>{t(title)}</h2>
              <p>{t(text)}</p>
              <ul class="cards">
                {tables
                  .filter((x) => paths.includes(x.path))
                  .map((x) => (
                    <li key={x.path}>
                      <TableCard table={x} />
                    </li>
                  ))}
              </ul>
            </section>
          ))
        }
      </Loaded>
    </Page>
  );
}
