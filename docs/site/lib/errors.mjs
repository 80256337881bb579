// The codes of errors as the code has them, and the troubleshooting page with the sentences that visitors read.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** @param {string} folder @param {RegExp} pattern @returns {string[]} */
const sources = (folder, pattern) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? sources(join(folder, one.name), pattern) : pattern.test(one.name) ? [readFileSync(join(folder, one.name), "utf8")] : []));

/** The English sentences. @param {string} root @returns {Promise<Record<string, string>>} */
export async function sentences(root) {
  const tables = ["languages/en.js", "later/words-errors.js"].map(async (name) => {
    const path = join(root, "www/element", name);
    // The page's files are modules without a package.json that says so.
    const module = await import(`data:text/javascript,${encodeURIComponent(readFileSync(path, "utf8"))}#${pathToFileURL(path).href}`);
    return module.en ?? module.table;
  });
  return Object.assign({}, ...(await Promise.all(tables)));
}

/** Where the page, its loader and its engine name a code. */
const MADE = /(?:new ThisButError|failure|WebError::new)\(\s*"(\w+)"|\bkind: "(\w+)"/g;

/**
 * Every code: those that the page, its loader and its engine make, and those that have a sentence.
 * @param {string} root
 */
export async function codes(root) {
  const code = [...sources(join(root, "www"), /\.js$/), ...sources(join(root, "web/src"), /\.rs$/)].join("\n");
  const made = [...code.matchAll(MADE)].map(([, call, field]) => call ?? field);
  const said = Object.keys(await sentences(root)).flatMap((key) => /^error\.(\w+)$/.exec(key)?.[1] ?? []);
  return [...new Set([...said, ...made])].sort();
}

/** The entries of the troubleshooting page: code → its text. @param {string} text */
export function entries(text) {
  const found = [...text.matchAll(/^### `(\w+)`\n([\s\S]*?)(?=^#{1,3} |(?![\s\S]))/gm)];
  return new Map(found.map(([, code, body]) => [code, body]));
}

/**
 * What is wrong with the page: codes without an entry, entries without a code, entries that leave something out.
 * @param {string} text @param {string[]} known
 */
export function gaps(text, known) {
  const there = entries(text);
  const parts = ["Means", "Cause", "Mend"];
  return [
    ...known.filter((code) => !there.has(code)).map((code) => `${code} has no entry`),
    ...[...there.keys()].filter((code) => !known.includes(code)).map((code) => `${code} is made nowhere`),
    ...[...there].flatMap(([code, body]) => parts.filter((part) => !body.includes(`**${part}.**`)).map((part) => `${code} has no "${part}"`)),
  ];
}

/** @param {string} text */
const quoted = (text) => `> ${text.replaceAll(/\{(\w+)\}/g, "…")}`;

/**
 * The page with what a visitor reads under each code.
 * @param {string} text @param {Record<string, string>} said
 */
export function withSentences(text, said) {
  const own = (/** @type {string} */ code) => (code === "image" ? Object.keys(said).filter((key) => /^image\.\w+$/.test(key)) : []);
  return text.replace(/^### `(\w+)`\n/gm, (heading, /** @type {string} */ code) => {
    const keys = [`error.${code}`, ...own(code)].filter((key) => said[key]);
    if (!keys.length) return heading;
    const lines = keys.map((key) => quoted([said[key], said[`${key}.mend`]].filter(Boolean).join(" ")));
    return `${heading}\n${lines.join("\n>\n")}\n`;
  });
}
