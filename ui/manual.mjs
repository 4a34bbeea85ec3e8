// The manual for the pages: docs/manual.md and manual.ja.md as HTML. Headings have the same ids in both languages, made of
// the English words; what a page's link names must be there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Marked } from "marked";

const idOf = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");

function headings(text) {
  return new Marked().lexer(text).filter((token) => token.type === "heading");
}

function toHtml(text, ids) {
  let next = 0;
  const made = new Marked({
    renderer: {
      heading({ tokens, depth }) {
        const id = ids[next++];
        return depth === 1 ? "" : `<h${depth} id="${id}" tabindex="-1">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      // Other files of docs/ aren't in the program.
      link({ href, tokens }) {
        const words = this.parser.parseInline(tokens);
        return /^https?:/.test(href) ? `<a href="${href}" rel="noopener noreferrer" target="_blank">${words}</a>` : words;
      },
      image: () => "",
      html: () => "",
    },
  });
  return made
    .parse(text)
    .replaceAll("<pre>", '<pre tabindex="0">')
    .replaceAll("<table>", '<div class="scroll" tabindex="0"><table>')
    .replaceAll("</table>", "</table></div>");
}

/** The files of the program: path, data. parts: ids that pages name. */
export function manualFiles(docs, parts) {
  const texts = { en: readFileSync(join(docs, "manual.md"), "utf8"), ja: readFileSync(join(docs, "manual.ja.md"), "utf8") };
  const [en, ja] = [headings(texts.en), headings(texts.ja)];
  if (en.length !== ja.length || en.some((h, i) => h.depth !== ja[i].depth))
    throw new Error("docs/manual.md and docs/manual.ja.md have different headings");
  const ids = en.map((h) => idOf(h.text));
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice) throw new Error(`docs/manual.md: two headings have the id ${twice}`);
  const missing = parts.filter((id) => !ids.includes(id));
  if (missing.length > 0) throw new Error(`ui/src/manual.json names what docs/manual.md hasn't: ${missing.join(", ")}`);
  return Object.entries(texts).map(([lang, text]) => {
    const toc = (lang === "en" ? en : ja).map((h, i) => ({ depth: h.depth, id: ids[i], text: h.text })).filter((h) => h.depth > 1);
    return { path: `/assets/manual-${lang}.json`, data: Buffer.from(JSON.stringify({ toc, html: toHtml(text, ids) })) };
  });
}
