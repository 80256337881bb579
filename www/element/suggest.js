// Which of the bundle's suggestions suit the image at hand. A suggestion is a text; `woman, girl > but a man` or
// `{text, when: [words]}` is offered only where one of the words describes the reference.

/** Words that say nothing of an image by themselves. */
export const FILLER = new Set("a an the but with in as and of same this it is make".split(" "));

const words = (/** @type {string} */ text) => new Set(String(text).toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);

/**
 * `woman, girl > but a man` → its words and its text.
 * @param {string} line
 * @returns {{text: string, when?: string[]}}
 */
function read(line) {
  const at = line.indexOf(" > ");
  if (at < 0) return { text: line.trim() };
  return { text: line.slice(at + 3).trim(), when: line.slice(0, at).split(",").map((word) => word.trim()).filter(Boolean) };
}

/**
 * @param {import("../types.js").Suggestion[] | undefined} all
 * @param {string} about what is known of the reference: its title and tags, or those of the images most like it
 * @param {number} count
 * @returns {string[]}
 */
export function suggest(all, about, count) {
  const known = words(about);
  const fitting = [];
  const general = [];
  for (const one of all ?? []) {
    const { text, when } = typeof one === "string" ? read(one) : one;
    // What the image already is need not be asked for.
    const told = [...words(text)].filter((word) => !FILLER.has(word));
    if (!text || (told.length && told.every((word) => known.has(word)))) continue;
    if (!when?.length) general.push(text);
    else {
      const hits = when.filter((word) => [...words(word)].every((part) => known.has(part))).length;
      if (hits) fitting.push({ text, hits });
    }
  }
  fitting.sort((a, b) => b.hits - a.hits);
  // Those that suit this image come first, but never alone.
  const chosen = fitting.slice(0, count - Math.min(2, general.length)).map(({ text }) => text);
  return [...new Set([...chosen, ...general])].slice(0, count);
}

/** The words that describe an item. */
export const describe = (/** @type {import("../types.js").About | null | undefined} */ item) => [item?.title, ...(item?.tags ?? []), item?.group, item?.subgroup].filter(Boolean).join(" ");

/** A modifier without its own "but": the sentence around it has one. */
export const bare = (/** @type {string} */ text) => text.replace(/^(this,?\s+)?but\s+(?=\S)/i, "");
