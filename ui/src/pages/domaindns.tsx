// DNS records of one domain.
import { t } from "../i18n";
import { route } from "../router";
import { Page } from "../ui/parts";
import { DnsRecords } from "../ui/dns";

export function DomainDns({ domain }: { domain: string }) {
  return (
    <Page
      title={t("dns.title-of", { domain })}
      up={[
        ["/domains", t("nav.domains")],
        [route("/domains", domain), domain],
      ]}
    >
      <p>{t("dns.text")}</p>
      <DnsRecords domain={domain} />
    </Page>
  );
}
