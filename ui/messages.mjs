// Looks for gaps in the catalogue of the pages' words: both languages, the same values in both, no
// key twice, none that no page uses.
import { build } from "esbuild";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Keys that are put together from a beginning and what the server says. */
const beginnings = ["event.", "why.", "error.", "settings.group.", "tables.kind.", "var."];

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((f) =>
    f.isDirectory() ? sources(join(folder, f.name)) : /\.tsx?$/.test(f.name) ? [join(folder, f.name)] : [],
  );
}

const places = (text) =>
  [...text.matchAll(/\{(\w+)\}/g)]
    .map((m) => m[1])
    .sort()
    .join(" ");

/** The complaints about a catalogue {key: [English, Japanese]} and the text of its pages. */
export function gaps(messages, code) {
  const found = [];
  for (const [key, pair] of Object.entries(messages)) {
    const [en, ja] = pair;
    if (pair.length !== 2 || !en?.trim() || !ja?.trim()) found.push(`${key}: a language is missing`);
    else if (places(en) !== places(ja)) found.push(`${key}: {values} differ`);
    const stem = key.replace(/-help$/, "");
    const used =
      code.includes(`"${key}"`) ||
      code.includes(`"${stem}"`) ||
      beginnings.some((b) => key.startsWith(b)) ||
      [...stem.matchAll(/\./g)].some((m) => code.includes(`"${stem.slice(0, m.index + 1)}" +`));
    if (!used) found.push(`${key}: no page uses it`);
  }
  return found;
}

export async function checkMessages(folder) {
  const bundled = await build({ entryPoints: [join(folder, "messages.ts")], bundle: true, format: "esm", write: false });
  const url = "data:text/javascript," + encodeURIComponent(bundled.outputFiles[0].text);
  const { messages } = await import(url);
  const files = sources(folder);
  const catalogues = files.filter((f) => f.includes("/messages"));
  const code = files
    .filter((f) => !catalogues.includes(f))
    .map((f) => readFileSync(f, "utf8"))
    .join("\n");
  const found = gaps(messages, code);
  const keys = catalogues.flatMap((f) => [...readFileSync(f, "utf8").matchAll(/^ {2}"([^"]+)": \[/gm)].map((m) => m[1]));
  for (const key of keys.filter((k, i) => keys.indexOf(k) !== i)) found.push(`${key}: there twice`);
  if (found.length === 0) return;
  console.error(found.map((line) => "messages: " + line).join("\n"));
  process.exit(1);
}
