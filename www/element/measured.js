// What a bundle's own figures say of it: the loader and the element both ask.

/** Recall at 10 of words alone, in percent of that with an image, from which they are offered. */
const WORDS_WORK = 50;

/**
 * Whether words without an image find anything here, as measured at export; unknown counts as yes.
 * @param {any} measured
 */
export function wordsWork(measured) {
  const sections = Object.values(measured ?? {}).flatMap((one) => one?.sections ?? []);
  const rows = sections.find(({ name }) => name === "all")?.rows ?? [];
  const of = (/** @type {string} */ method) => rows.find((/** @type {any} */ row) => row.method === method)?.recall?.r10;
  const [alone, composed] = [of("text-only"), of("composed")];
  return alone === undefined || composed === undefined || alone >= (composed * WORDS_WORK) / 100;
}
