// The overview of an administrator of some domains: limits, and whom to ask.
import { get } from "../api";
import { t } from "../i18n";
import { route } from "../router";
import { Link, Loaded, Page, useData } from "../ui/parts";
import { domainsOf, itemName, Limits, type Delegation } from "../ui/delegation";

const support = ["support-person", "support-email", "support-telephone"];
const servers = ["receiving-server", "sending-server"];
const features = ["forwarding", "external"];

function Facts(props: { title: string; items: string[]; values: Record<string, string> }) {
  const items = props.items.filter((item) => props.values[item] !== undefined);
  if (items.length === 0) return null;
  return (
    <section class="card">
      <h2>{props.title}</h2>
      <dl class="figures">
        {items.map((item) => (
          <div key={item} class="figure">
            <dt>{itemName(item)}</dt>
            <dd>{props.values[item]}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function DelegationPage() {
  const data = useData("delegation", () => get<Delegation>("/delegation"), true);
  return (
    <Page title={t("overview.title")}>
      <Loaded data={data}>
        {(d) => (
          <>
            <Limits d={d} />
            <section class="card">
              <h2>{t("delegates.yours")}</h2>
              <ul>
                {domainsOf(d).map((domain) => (
                  <li key={domain}>
                    <Link to={route("/domains", domain)}>{domain}</Link>
                  </li>
                ))}
              </ul>
              <ul>
                {features.map((item) => (
                  <li key={item}>
                    {itemName(item)}: {d.values[item] === "1" ? t("delegates.allowed") : t("delegates.not-allowed")}
                  </li>
                ))}
              </ul>
            </section>
            <Facts title={t("delegates.ask-whom")} items={support} values={d.values} />
            <Facts title={t("delegates.servers")} items={servers} values={d.values} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
