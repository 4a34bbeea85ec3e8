// What the DNS must say for a domain, and what it says.
import { get } from "../api";
import { t, type Key } from "../i18n";
import { route } from "../router";
import { Badge, Button, Grid, Loaded, useData } from "./parts";

type Record = {
  name: string;
  type: string;
  want: string;
  found: string[];
  state: "ok" | "missing" | "differs" | "unknown";
  needed: boolean;
};
type Answer = { host: string; records: Record[] };

function why(r: Record): Key {
  if (r.type !== "TXT") return ("dns.why." + r.type) as Key;
  return r.name.startsWith("_dmarc.") ? "dns.why.dmarc" : "dns.why.spf";
}

/** As a zone file has it: a host's name ends in a dot. */
function wanted(r: Record): string {
  return r.type === "MX" ? `10 ${r.want}.` : r.type === "PTR" ? r.want + "." : r.want;
}

function State({ r }: { r: Record }) {
  const kind = r.state === "ok" ? "good" : !r.needed || r.state === "unknown" ? "warn" : "bad";
  return <Badge kind={kind}>{t(("dns.state." + r.state) as Key)}</Badge>;
}

export function DnsRecords({ domain }: { domain: string }) {
  const data = useData("dns" + domain, () => get<Answer>(route("/domains", domain, "dns")));
  return (
    <Loaded data={data}>
      {({ records }) => {
        const open = records.filter((r) => r.needed && r.state !== "ok").length;
        return (
          <>
            <p class={"notice " + (open === 0 ? "good" : "bad")} role="status">
              {open === 0 ? t("dns.all-right") : t("dns.not-all-right", { n: open })}
              <Button onClick={data.again} label={`${t("dns.again")}: ${domain}`}>
                {t("dns.again")}
              </Button>
            </p>
            <Grid
              label={t("dns.title-of", { domain })}
              head={[t("dns.name"), t("dns.type"), t("dns.value"), t("dns.now"), t("dns.why")]}
            >
              {records.map((r) => (
                <tr key={r.type + r.name + r.want}>
                  <td class="breaks">{r.name}</td>
                  <td>{r.type}</td>
                  <td class="breaks">{r.want ? <code>{wanted(r)}</code> : t(("dns.any." + r.type) as Key)}</td>
                  <td class="breaks">
                    <State r={r} />
                    {r.found.map((f) => (
                      <div key={f}>
                        <code>{f}</code>
                      </div>
                    ))}
                  </td>
                  <td>
                    {t(why(r))}
                    {!r.needed && <Badge>{t("dns.optional")}</Badge>}
                  </td>
                </tr>
              ))}
            </Grid>
          </>
        );
      }}
    </Loaded>
  );
}
