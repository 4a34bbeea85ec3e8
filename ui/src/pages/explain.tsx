// What would happen to a client; the question stands in the page's address.
import { t } from "../i18n";
import { param, setParams } from "../router";
import { Page } from "../ui/parts";
import { emptyQuestion, ExplainForm, type Question } from "../ui/explain";

const names = Object.keys(emptyQuestion) as (keyof Question)[];

export function Explain() {
  const first = Object.fromEntries(names.map((n) => [n, param(n) || emptyQuestion[n]])) as Question;
  return (
    <Page title={t("nav.explain")} up={[["/security", t("nav.access")]]}>
      <p>{t("explain.text")}</p>
      <section class="card">
        <ExplainForm first={first} fields={names} asked={(q) => setParams(q)} />
      </section>
    </Page>
  );
}
