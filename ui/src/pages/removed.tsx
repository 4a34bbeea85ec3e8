import { get, post } from "../api";
import { t, time } from "../i18n";
import { mayWrite } from "../session";
import { Button, Grid, Loaded, Page, notice, useData } from "../ui/parts";
import type { Removed } from "../ui/removed";

export function RemovedPage() {
  const data = useData("removed", () => get<Removed[]>("/removed"), true);
  const back = async (r: Removed) => {
    await post("/removed/" + encodeURIComponent(r.id));
    notice("good", t("removed.back", { what: r.what }));
    data.again();
  };
  return (
    <Page title={t("removed.title")}>
      <p>{t("removed.text")}</p>
      <Loaded data={data}>
        {(rows) =>
          rows.length === 0 ? (
            <p class="quiet">{t("removed.none")}</p>
          ) : (
            <Grid label={t("removed.title")} head={[t("removed.what"), t("removed.when"), t("app.actions")]}>
              {[...rows]
                .sort((a, b) => Number(b.when) - Number(a.when))
                .map((r) => (
                  <tr key={r.id}>
                    <td>{r.what}</td>
                    <td>{time(Number(r.when))}</td>
                    <td>{mayWrite() && <Button onClick={() => back(r)}>{t("removed.bring")}</Button>}</td>
                  </tr>
                ))}
            </Grid>
          )
        }
      </Loaded>
    </Page>
  );
}
