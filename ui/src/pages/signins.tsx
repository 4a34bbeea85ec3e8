import { get, remove } from "../api";
import { t, time } from "../i18n";
import { load } from "../session";
import { OwnPassword, SecondFactor } from "./factor";
import { Badge, Button, Grid, Loaded, Page, useData } from "../ui/parts";

type Row = { id: number; name: string; client: string; agent: string; began: number; idle: number; own: boolean };

/** "Firefox, Linux" out of a browser's long name for itself. */
function short(agent: string): string {
  const browser = /Edg|Firefox|Chrome|Safari|curl/.exec(agent)?.[0]?.replace("Edg", "Edge") ?? agent.slice(0, 30);
  const system = /Windows|Android|iPhone|iPad|Mac OS|Linux/.exec(agent)?.[0];
  return system ? `${browser}, ${system}` : browser;
}

export function SignIns() {
  const data = useData("sign-ins", () => get<Row[]>("/sign-ins"));
  const end = async (id: number | "others") => {
    await remove("/sign-ins/" + id);
    await load();
    data.again();
  };
  return (
    <Page title={t("nav.security")} actions={<Button onClick={() => end("others")}>{t("signins.end-others")}</Button>}>
      <h2>{t("signins.title")}</h2>
      <Loaded data={data}>
        {(rows) => (
          <Grid
            label={t("signins.title")}
            head={[
              t("signin.name"),
              t("signins.client"),
              t("signins.agent"),
              t("signins.began"),
              t("signins.idle"),
              t("app.actions"),
            ]}
          >
            {rows.map((r) => (
              <tr key={r.id}>
                <td>
                  {r.name} {r.own && <Badge kind="good">{t("signins.this")}</Badge>}
                </td>
                <td>{r.client}</td>
                <td title={r.agent}>{short(r.agent)}</td>
                <td>{time(r.began)}</td>
                <td>{t("signins.ago", { n: Math.floor(r.idle / 60) })}</td>
                <td>
                  <Button kind="danger" onClick={() => end(r.id)}>
                    {t("signins.end")}
                  </Button>
                </td>
              </tr>
            ))}
          </Grid>
        )}
      </Loaded>
      <OwnPassword />
      <SecondFactor />
    </Page>
  );
}
