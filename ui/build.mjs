// Bundles the pages with esbuild and writes them, compressed, as the C file that the program embeds.
//     node build.mjs OUT.c
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { manualFiles } from "./manual.mjs";
import { checkMessages } from "./messages.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "build", "ui", "assets.c");

await checkMessages(join(here, "src"));

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".png": "image/png",
};

const bundled = await build({
  entryPoints: { app: join(here, "src", "main.tsx"), style: join(here, "src", "style.css") },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2021",
  jsx: "automatic",
  jsxImportSource: "preact",
  outdir: "/assets",
  legalComments: "none",
  write: false,
});

const files = bundled.outputFiles.map((f) => ({ path: f.path, data: Buffer.from(f.contents) }));
for (const name of readdirSync(join(here, "public")))
  files.push({ path: "/" + name, data: readFileSync(join(here, "public", name)) });
const parts = JSON.parse(readFileSync(join(here, "src", "manual.json"), "utf8"));
files.push(...manualFiles(join(here, "..", "docs"), Object.values(parts)));
files.sort((a, b) => (a.path < b.path ? -1 : 1));

let text = '/* Made by ui/build.mjs. */\n#include "web/web_int.h"\n\n';
const rows = [];
files.forEach((f, i) => {
  const packed = gzipSync(f.data, { level: 9 });
  const etag = createHash("sha256").update(f.data).digest("hex").slice(0, 20);
  const type = types[extname(f.path)] ?? "application/octet-stream";
  const octets = [...packed].join(",").replace(/((?:\d+,){40})/g, "$1\n");
  text += `static const unsigned char data_${i}[] = {\n${octets}\n};\n`;
  rows.push(`    { "${f.path}", "${type}", "\\"${etag}\\"", data_${i}, sizeof(data_${i}), ${f.data.length} },`);
});
text += `\nconst struct asset web_assets[] = {\n${rows.join("\n")}\n};\n`;
text += "const size_t web_asset_count = ARRAY_LEN(web_assets);\n";
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, text);
