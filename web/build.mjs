// Builds the page into ../src/actatlas/site/static/. `--check` builds it in memory and compares: nothing is written.
import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compile } from "json-schema-to-typescript";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = "../src/actatlas/site/static/";
const isCheck = process.argv.includes("--check");

async function formatTypes() {
  const parts = [];
  const names = ["atlas", "about", "cells", "numbers", "photos", "places", "names", "columns", "confusions", "projections", "traces", "tour"].map((name) => `site-${name}`);
  for (const name of [...names, "lab"]) {
    const schema = JSON.parse(await readFile(here(`../docs/schema/${name}.json`), "utf8"));
    parts.push(await compile(schema, schema.title, { bannerComment: "", additionalProperties: false, ignoreMinAndMaxItems: true }));
  }
  return `// Made by \`npm run build\` from docs/schema/: do not edit.\n\n${parts.join("\n")}`;
}

async function bundle(entry, options = {}) {
  const result = await build({
    entryPoints: [here(entry)],
    bundle: true,
    write: false,
    minify: true,
    legalComments: "none",
    charset: "ascii",
    logLevel: "warning",
    ...options,
  });
  return result.outputFiles[0].text;
}

async function thirdParty() {
  const text = await readFile(here("node_modules/openseadragon/LICENSE.txt"), "utf8");
  const { version } = JSON.parse(await readFile(here("node_modules/openseadragon/package.json"), "utf8"));
  return `app.js contains OpenSeadragon ${version}, https://openseadragon.github.io/\n\n${text.replace(/\r\n/g, "\n")}`;
}

// Where there is no Node, a test compares this with the sources: a page that was not built anew is noticed.
async function builtFrom() {
  const sources = (await readdir(here("src"), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => `src/${`${entry.parentPath}/${entry.name}`.slice(here("src/").length)}`);
  const all = createHash("sha256");
  for (const path of [...sources, "package-lock.json"].sort()) {
    const own = createHash("sha256").update(await readFile(here(path))).digest("hex");
    all.update(`${path} ${own}\n`);
  }
  return `${all.digest("hex")}\n`;
}

const types = await formatTypes();
const files = { "src/format.ts": types };
if (!isCheck) await writeFile(here("src/format.ts"), types);
files[`${out}app.js`] = await bundle("src/main.ts", { format: "iife", target: ["es2022"] });
files[`${out}widget.js`] = await bundle("src/widget.ts", { format: "esm", target: ["es2022"] });
files[`${out}app.css`] = await bundle("src/style/app.css", { target: ["chrome109", "firefox115", "safari16"] });
files[`${out}page.html`] = await readFile(here("src/page.html"), "utf8");
files[`${out}icon.svg`] = await readFile(here("src/icon.svg"), "utf8");
files[`${out}THIRD-PARTY.txt`] = await thirdParty();
files["built-from.sha256"] = await builtFrom();

let differing = 0;
for (const [path, text] of Object.entries(files)) {
  const old = await readFile(here(path), "utf8").catch(() => null);
  if (old === text) continue;
  differing += 1;
  if (isCheck) console.error(`${path} is not what npm run build makes`);
  else await writeFile(here(path), text);
}
console.error(isCheck ? `${differing} of ${Object.keys(files).length} files differ` : `${differing} files written`);
process.exitCode = isCheck && differing > 0 ? 1 : 0;
