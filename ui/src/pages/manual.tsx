// The manual, in the reader's language. It comes with the program (manual.mjs).
import { useEffect, useRef } from "preact/hooks";
import { lang, t } from "../i18n";
import { param, setParams } from "../router";
import { Loaded, Page, useData } from "../ui/parts";

type Text = { toc: { depth: number; id: string; text: string }[]; html: string };

async function read(url: string): Promise<Text> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(t("error.network"));
  return (await answer.json()) as Text;
}

function Body({ text }: { text: Text }) {
  const part = param("part");
  const article = useRef<HTMLElement>(null);
  useEffect(() => {
    const heading = part ? article.current?.querySelector<HTMLElement>("#" + CSS.escape(part)) : null;
    heading?.scrollIntoView();
    heading?.focus({ preventScroll: true });
  }, [part, text]);
  return (
    <div class="manual">
      <nav aria-label={t("manual.contents")} class="card">
        <ul>
          {text.toc.map((h) => (
            <li key={h.id} class={"depth-" + h.depth}>
              <a
                href={"?part=" + h.id}
                onClick={(e) => {
                  e.preventDefault();
                  setParams({ part: h.id });
                }}
              >
                {h.text}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <article ref={article} class="card" dangerouslySetInnerHTML={{ __html: text.html }} />
    </div>
  );
}

export function Manual() {
  const url = `/assets/manual-${lang.value}.json`;
  const data = useData(url, () => read(url));
  return (
    <Page title={t("manual.title")}>
      <Loaded data={data}>{(text) => <Body text={text} />}</Loaded>
    </Page>
  );
}
