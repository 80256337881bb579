// Sizes of a built site, raw and compressed. Budgets: element + CPU runtime 1.2 MB (brotli); first visit 30 MB.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const BUDGET = { element: 1.2e6, visit: 30e6 };
const [folder = "dist"] = process.argv.slice(2);

const walk = (path) => readdirSync(path).flatMap((name) => (statSync(join(path, name)).isDirectory() ? walk(join(path, name)) : [join(path, name)]));
const squeeze = (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(12);

const files = walk(folder).map((path) => relative(folder, path)).filter((path) => !path.startsWith("bundle/"));
let element = 0;
let page = 0;
console.log(`${"file".padEnd(34)}${"raw".padStart(12)}${"gzip".padStart(12)}${"brotli".padStart(12)}`);
for (const path of files.sort()) {
  const body = readFileSync(join(folder, path));
  const small = squeeze(body).length;
  console.log(`${path.padEnd(34)}${kb(body.length)}${kb(gzipSync(body).length)}${kb(small)}`);
  const gpu = path.includes("webgpu");
  if (!gpu && /^(this-but\.js|worker\.js|element\/|runtime\/)/.test(path)) element += small;
  if (!gpu && path !== "embed.html") page += small;
}

let bundle = 0;
try {
  const manifest = JSON.parse(readFileSync(join(folder, "bundle/bundle.json"), "utf8"));
  bundle = statSync(join(folder, "bundle/bundle.json")).size;
  /** @type {string[]} */
  const files = JSON.stringify(manifest).match(/"bytes":\d+/g) ?? [];
  bundle += files.reduce((sum, text) => sum + Number(text.slice(8)), 0);
} catch {
  console.log("no bundle/bundle.json: the first visit is measured without one");
}
const verdict = (name, bytes, limit) => {
  const good = bytes <= limit;
  console.log(`${name}: ${(bytes / 1e6).toFixed(2)} MB of ${limit / 1e6} MB${good ? "" : "  TOO LARGE"}`);
  return good;
};
const fits = [
  verdict("element + CPU runtime (brotli)", element, BUDGET.element),
  verdict("first visit, bundle uncompressed, all of it", page + bundle, BUDGET.visit),
];
process.exit(fits.every(Boolean) ? 0 : 1);
