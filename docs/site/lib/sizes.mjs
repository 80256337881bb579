// What a visitor loads, measured on a built site with scripts/size-check.mjs. Without a site there are no figures, and the page
// says how to get them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BUDGET, LANGUAGES, measure } from "../../../scripts/size-check.mjs";

/** @typedef {import("../../../scripts/size-check.mjs").Size} Size */

const kb = (/** @type {number} */ bytes) => (bytes >= 1e6 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e3).toFixed(1)} kB`);

/** What belongs together, and when it is loaded. `one`: the largest file alone is loaded. @type {{name: string, when: string, of: (path: string) => boolean, one?: boolean}[]} */
const GROUPS = [
  { name: "WebGPU module", when: "when a visitor asks for a measurement", of: (path) => /^runtime\/.*webgpu/.test(path) },
  { name: "CPU module", when: "with the first search", of: (path) => path.startsWith("runtime/") },
  { name: "worker and loader", when: "with the first search", of: (path) => path === "worker.js" || path.startsWith("loader/") },
  { name: "a language's sentences (the largest)", when: "where the page's language is not English", of: (path) => LANGUAGES[0].test(path), one: true },
  { name: "a language's sentences about own pictures", when: "with a folder of the visitor's own", of: (path) => LANGUAGES[1].test(path), one: true },
  { name: "parts for later", when: "when they are first needed", of: (path) => path.startsWith("element/later/") },
  { name: "the element", when: "with the page", of: (path) => path === "this-but.js" || path.startsWith("element/") },
  { name: "the demo page itself", when: "with the page", of: () => true },
];

/** @param {Size[]} files */
function rows(files) {
  const groups = GROUPS.map((group) => ({ ...group, files: /** @type {Size[]} */ ([]) }));
  for (const file of files.filter(({ path }) => path !== "embed.html")) groups.find(({ of }) => of(file.path))?.files.push(file);
  for (const group of groups) if (group.one) group.files = group.files.sort((a, b) => b.brotli - a.brotli).slice(0, 1);
  const sum = (/** @type {Size[]} */ list, /** @type {"raw" | "gzip" | "brotli"} */ of) => kb(list.reduce((all, one) => all + one[of], 0));
  return groups
    .filter((group) => group.files.length)
    .reverse()
    .map(({ name, when, files }) => `| ${name} | ${when} | ${files.length} | ${sum(files, "raw")} | ${sum(files, "gzip")} | ${sum(files, "brotli")} |`);
}

/** @param {string} site */
function bundleRows(site) {
  const { weights, vocab, gallery } = JSON.parse(readFileSync(join(site, "bundle/bundle.json"), "utf8"));
  const bytes = (/** @type {{bytes: number}[]} */ list) => kb(list.reduce((sum, one) => sum + one.bytes, 0));
  /** @type {[string, {bytes: number}[]][]} */
  const parts = [["weights", weights], ["words of the tokenizer", [vocab]], ["gallery", gallery.chunks], ["titles and tags", gallery.metadata]];
  return parts.map(([name, list]) => `| ${name} | ${list.length} | ${bytes(list)} |`);
}

/** The tables, as Markdown. @param {string} site the built site */
function figures(site) {
  const { files, element, page, bundle } = measure(site);
  const whole = bundle === null ? [] : ["", "## The bundle", "", "Loaded with the first search, and kept on the device. Thumbnails come as they are seen.", "", "| part | files | bytes |", "|---|---:|---:|", ...bundleRows(site)];
  return [
    "## Files of the site",
    "",
    "| what | when | files | as it is | gzip | brotli |",
    "|---|---|---:|---:|---:|---:|",
    ...rows(files),
    ...whole,
    "",
    "## In all",
    "",
    "| sum | bytes | budget |",
    "|---|---:|---:|",
    `| element and CPU runtime, brotli | ${kb(element)} | ${kb(BUDGET.element)} |`,
    `| first visit: page and element in brotli${bundle === null ? "; this site has no bundle" : ", bundle as it is"} | ${kb(page + (bundle ?? 0))} | ${kb(BUDGET.visit)} |`,
    "",
    "Measured on the site beside this documentation when it was built.",
  ].join("\n");
}

/** @param {string | null} site */
export const sizes = (site) =>
  site
    ? figures(site)
    : "::: info There are no figures here yet\nThis documentation was built without a site beside it. `scripts/serve` builds one into `dist/`; then `scripts/docs` measures it and shows the figures.\n:::";
