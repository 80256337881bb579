// What a bundle shows before its model is there: pictures to start from and searches with their answers, all of it in its
// index. And whether the model may be fetched without being asked for.

import { wordsWork } from "./measured.js";

/** @import { Item, Opening } from "../types.js" */

/** The Cache that the loader keeps a bundle's files in (loader/parts.js). */
const CACHE = "thisbut-bundle-v1";
/** ms that the index has; after that the model is fetched as if there were no opening. */
const PATIENCE = 8000;
/** Megabits a second from which a line counts as fast. */
const FAST = 4;
/** Bits from which the speed can be told. */
const ENOUGH = 8 * 40_000;

/**
 * The opening of a bundle; null where it has none, or cannot be had.
 * @param {string} bundle
 * @returns {Promise<?Opening>}
 */
export async function opening(bundle) {
  try {
    const answer = await fetch(new URL("bundle.json", bundle), { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) return null;
    const { opening, gallery, weights, vocab, form, measured } = await answer.json();
    if (!opening?.pictures?.length) return null;
    const item = (/** @type {any} */ { thumb, ...rest }) => ({ tags: [], id: String(rest.extra?.id ?? rest.index), ...rest, image: new URL(gallery.thumbnails + thumb, bundle).href });
    const files = [...weights, vocab, ...gallery.chunks, ...gallery.metadata];
    return {
      items: opening.pictures.map(item),
      examples: (opening.examples ?? []).map((/** @type {any} */ { from, text, hits }) => ({ from: item(from), text, hits: hits.map(item) })),
      total: gallery.count,
      words: wordsWork(measured),
      upload: form !== "gallery-reference",
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      files: files.map(({ path }) => new URL(path, bundle).href),
    };
  } catch {
    // The engine asks for the index again, and says what is wrong with it.
    return null;
  }
}

/** Megabits a second at which the page's pictures came; infinite where nobody can tell. */
function speed() {
  const seen = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource")).filter(({ transferSize, initiatorType }) => initiatorType === "img" && transferSize > 0);
  const bits = 8 * seen.reduce((sum, { transferSize }) => sum + transferSize, 0);
  if (bits < ENOUGH) return Infinity;
  const from = Math.min(...seen.map(({ requestStart }) => requestStart || Infinity));
  const to = Math.max(...seen.map(({ responseEnd }) => responseEnd));
  return bits / Math.max(1, to - from) / 1000;
}

/**
 * Whether the model may come by itself: `"now"`, where it is stored or the line is fast; `"asked"`, at the first sign that
 * somebody wants to search; `"told"`, where the visitor saves data and first sees how much it is.
 * @param {Opening} opening
 * @returns {Promise<"now" | "asked" | "told">}
 */
export async function allowed({ files }) {
  const line = /** @type {any} */ (navigator).connection;
  try {
    const cache = await caches.open(CACHE);
    const there = await Promise.all(files.map((url) => cache.match(url)));
    if (there.every(Boolean)) return "now";
  } catch {
    // No storage, nothing stored.
  }
  if (line?.saveData) return "told";
  // Browsers that know the line have seen more of it than this page has.
  const slow = line ? /2g|3g/.test(line.effectiveType) || (line.downlink ?? FAST) < FAST : speed() < FAST;
  return slow ? "asked" : "now";
}
