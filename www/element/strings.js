// Sentences by language, with the plurals and numbers of that language. Another language is one more table in
// languages/, or `ThisBut.define("fr", {…})` from the page. All but English are fetched when they are asked for.

import { en } from "./languages/en.js";

/** @typedef {Record<string, string>} Table */

/** @type {Map<string, Table>} */
const tables = new Map([["en", en]]);

/** Languages that lie beside this file. @type {Record<string, () => Promise<{table: Table}>>} */
const more = {
  ar: () => import("./languages/ar.js"),
  de: () => import("./languages/de.js"),
  es: () => import("./languages/es.js"),
  fr: () => import("./languages/fr.js"),
  it: () => import("./languages/it.js"),
  ja: () => import("./languages/ja.js"),
  nl: () => import("./languages/nl.js"),
  pl: () => import("./languages/pl.js"),
  pt: () => import("./languages/pt.js"),
  sv: () => import("./languages/sv.js"),
  zh: () => import("./languages/zh.js"),
};

/** @type {Set<string>} */
const learned = new Set();

/**
 * Fetches a language's sentences if they are not here yet; says whether there are new ones.
 * @param {string} lang
 */
export async function learn(lang) {
  const tag = (lang || "en").toLowerCase().split("-")[0];
  if (learned.has(tag) || !Object.hasOwn(more, tag)) return false;
  try {
    const { table } = await more[tag]();
    // What the page has defined goes first.
    learned.add(tag);
    define(tag, { ...table, ...tables.get(tag) });
    return true;
  } catch {
    // Without its file, the language is English.
    return false;
  }
}

/**
 * Adds or completes a language. Missing sentences fall back to English.
 * @param {string} lang
 * @param {Record<string, string>} table
 */
export function define(lang, table) {
  tables.set(lang.toLowerCase(), { ...tables.get(lang.toLowerCase()), ...table });
}

const RTL = new Set("ar arc ckb dv fa ha he khw ks ku ps sd ug ur yi".split(" "));

/**
 * What `make` makes for a language tag; for English where the browser does not know the tag.
 * @template T
 * @param {(tag: string) => T} make
 * @param {string} tag
 */
function intl(make, tag) {
  try {
    return make(tag);
  } catch {
    return make("en");
  }
}

/**
 * A translator for a language tag ("de-AT" uses "de"). Its `lang` and `dir` are those of the sentences that it gives, and
 * not of the tag: a tag without a table gets English.
 * @param {string} lang
 * @returns {import("../types.js").Translate}
 */
export function translator(lang) {
  const tag = (lang || "en").toLowerCase();
  const known = [tag, tag.split("-")[0]].find((one) => tables.has(one));
  const table = tables.get(known ?? "en") ?? en;
  const own = known ? tag : "en";
  const plural = intl((one) => new Intl.PluralRules(one), own);
  const number = intl((one) => new Intl.NumberFormat(one), own);
  const shown = (/** @type {unknown} */ value) => (typeof value === "number" ? number.format(value) : String(value ?? ""));
  /** @type {import("../types.js").Translate} */
  const t = Object.assign(
    (/** @type {string} */ key, /** @type {Record<string, unknown>} */ values = {}) => {
      const form = typeof values.n === "number" ? `${key}.${plural.select(values.n)}` : key;
      // A form of another language's plural would be out of place: the table's own sentence goes before it.
      const text = table[form] ?? table[key] ?? en[form] ?? en[key] ?? key;
      return text.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
    },
    { lang: own, dir: /** @type {"ltr" | "rtl"} */ (RTL.has(own.split("-")[0]) ? "rtl" : "ltr") },
  );
  return t;
}

/** Whether a key exists in any table: error messages from below have keys only for kinds that the page knows. */
export const known = (/** @type {string} */ key) => key in en;
