// The stories of messages: by id, address or Message-ID.
import { useState } from "preact/hooks";
import { get } from "../api";
import { number, t, type Key } from "../i18n";
import { param, setParams } from "../router";
import { Badge, Button, Link, Loaded, Page, TextField, useData } from "../ui/parts";
import { Events, type Trace } from "../ui/story";
import { messagePage } from "./queue";

const SHOWN = 50;

export function TracePage() {
  const about = param("about");
  const [text, setText] = useState(about);
  const url = `/trace?limit=${SHOWN}&about=${encodeURIComponent(about)}`;
  const data = useData(url, () => (about ? get<Trace>(url) : Promise.resolve(null)));
  return (
    <Page title={t("story.title")}>
      <p>{t("story.text")}</p>
      <form
        class="filters"
        onSubmit={(e) => {
          e.preventDefault();
          setParams({ about: text.trim() });
        }}
      >
        <TextField label={t("story.about")} help={t("story.about-help")} type="search" value={text} onInput={setText} />
        <Button type="submit" kind="primary">
          {t("app.search")}
        </Button>
      </form>
      <Loaded data={data}>
        {(trace) =>
          trace && (
            <>
              {trace.days === 0 && <p class="notice bad">{t("story.off")}</p>}
              {trace.incomplete && <p class="notice bad">{t("story.incomplete")}</p>}
              {trace.stories.length === 0 && <p class="quiet">{t("story.none", { days: number(trace.days) })}</p>}
              {trace.stories.map((s) => (
                <section key={s.id} class="card">
                  <h2>
                    {s.state === "session" ? t("story.session", { id: s.id }) : <Link to={messagePage(s.id)}>{s.id}</Link>}
                    {(s.state === "queue" || s.state === "frozen") && <Badge kind="warn">{t(("story.state." + s.state) as Key)}</Badge>}
                  </h2>
                  <Events story={s} />
                </section>
              ))}
              {trace.more && <p class="quiet">{t("story.more", { n: number(trace.stories.length) })}</p>}
            </>
          )
        }
      </Loaded>
    </Page>
  );
}
