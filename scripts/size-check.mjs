// Sizes of a built site, raw and compressed: node scripts/size-check.mjs [FOLDER]
// Budgets: element + CPU runtime 1.2 MB (brotli); first visit 30 MB.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

export const BUDGET = { element: 1.2e6, visit: 30e6 };

/** @typedef {{path: string, raw: number, gzip: number, brotli: number}} Size */

/** @param {string} path @returns {string[]} */
const walk = (path) => readdirSync(path).flatMap((name) => (statSync(join(path, name)).isDirectory() ? walk(join(path, name)) : [join(path, name)]));
/** @param {Buffer} body */
const squeeze = (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });

/** Sentences in other languages: a visitor loads one of each kind. */
export const LANGUAGES = [/^element\/languages\/(?!en\.js)/, /^element\/later\/folder\/words\.\w+\.js$/];

/** The files of which a visitor loads all: of each kind of sentences the largest alone. @param {Size[]} files */
function loaded(files) {
  const largest = (/** @type {RegExp} */ kind) => files.filter(({ path }) => kind.test(path)).sort((a, b) => b.brotli - a.brotli)[0];
  const kept = LANGUAGES.map(largest);
  return files.filter((file) => kept.includes(file) || !LANGUAGES.some((kind) => kind.test(file.path)));
}

/** Bytes of the files that a bundle's index names, and of the index; nothing where there is none. @param {string} folder */
function bundled(folder) {
  const index = join(folder, "bundle/bundle.json");
  if (!existsSync(index)) return null;
  const text = readFileSync(index, "utf8");
  /** @type {string[]} */
  const files = JSON.stringify(JSON.parse(text)).match(/"bytes":\d+/g) ?? [];
  return files.reduce((sum, one) => sum + Number(one.slice(8)), Buffer.byteLength(text));
}

/**
 * Every file of a built site but the bundle's, with sums of what is compressed: `element` (the element with its CPU runtime),
 * `page` (all that a first visit loads but the bundle). `bundle`: its bytes as they are stored.
 * @param {string} folder
 */
export function measure(folder) {
  const paths = walk(folder).map((path) => relative(folder, path)).filter((path) => !path.startsWith("bundle/"));
  /** @type {Size[]} */
  const files = paths.sort().map((path) => {
    const body = readFileSync(join(folder, path));
    return { path, raw: body.length, gzip: gzipSync(body).length, brotli: squeeze(body).length };
  });
  const sum = (/** @type {(path: string) => boolean} */ counts) => loaded(files).filter(({ path }) => !path.includes("webgpu") && counts(path)).reduce((all, { brotli }) => all + brotli, 0);
  return {
    files,
    element: sum((path) => /^(this-but\.js|worker\.js|element\/|loader\/|runtime\/)/.test(path)),
    page: sum((path) => path !== "embed.html"),
    bundle: bundled(folder),
  };
}

/** @param {string} folder */
function report(folder) {
  const kb = (/** @type {number} */ bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(12);
  const { files, element, page, bundle } = measure(folder);
  console.log(`${"file".padEnd(34)}${"raw".padStart(12)}${"gzip".padStart(12)}${"brotli".padStart(12)}`);
  for (const { path, raw, gzip, brotli } of files) console.log(`${path.padEnd(34)}${kb(raw)}${kb(gzip)}${kb(brotli)}`);
  if (bundle === null) console.log("no bundle/bundle.json: the first visit is measured without one");
  const verdict = (/** @type {string} */ name, /** @type {number} */ bytes, /** @type {number} */ limit) => {
    const good = bytes <= limit;
    console.log(`${name}: ${(bytes / 1e6).toFixed(2)} MB of ${limit / 1e6} MB${good ? "" : "  TOO LARGE"}`);
    return good;
  };
  const fits = [
    verdict("element + CPU runtime (brotli)", element, BUDGET.element),
    verdict("first visit, bundle uncompressed, all of it", page + (bundle ?? 0), BUDGET.visit),
  ];
  return fits.every(Boolean);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(report(process.argv[2] ?? "dist") ? 0 : 1);
