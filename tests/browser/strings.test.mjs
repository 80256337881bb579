// Sentences: none that nobody reads, none that is missing; plurals, numbers and direction of each language. And the size of
// what a page loads for the element. No browser needed.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const walk = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? walk(join(folder, one.name)) : [join(folder, one.name)]));
const read = (folder, pattern) => walk(join(root, folder)).filter((path) => pattern.test(path) && !/languages|later\/(folder\/)?words/.test(path)).map((path) => readFileSync(path, "utf8")).join("\n");
/** The modules are the page's: node reads them in a folder that says that they are modules. */
const folder = mkdtempSync(join(tmpdir(), "thisbut-strings-"));
cpSync(join(root, "www/element"), join(folder, "www/element"), { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type":"module"}');
const load = async (path) => import(join(folder, path));
const en = { ...(await load("www/element/languages/en.js")).en, ...(await load("www/element/later/words.js")).table, ...(await load("www/element/later/words-errors.js")).table, ...(await load("www/element/later/folder/words.js")).table };
const others = new Map();
for (const path of walk(join(root, "www/element/languages"))) {
  const [name] = path.split("/").pop().split(".");
  const more = await load(`www/element/later/folder/words.${name}.js`).catch(() => ({ table: {} }));
  if (name !== "en") others.set(name, { ...Object.values(await load(path.slice(root.length)))[0], ...more.table });
}

test("every sentence is used, and every kind of error has one", () => {
  const code = read("www", /\.js$/);
  const engine = read("web/src", /\.rs$/);
  const used = (/** @type {string} */ key) => code.includes(`"${key}"`);
  for (const key of Object.keys(en)) {
    const bare = key.replace(/\.(mend|one|zero|two|few|many)$/, "");
    const kind = bare.startsWith("error.") ? bare.slice(6) : null;
    assert.ok(used(bare) || (kind && (used(kind) || engine.includes(`"${kind}"`) || code.includes(`${kind}:`))), `nobody reads ${key}`);
    if (bare !== key) assert.ok(en[bare], `${key} stands alone`);
  }
  const kinds = [...code.matchAll(/(?:new ThisButError|failure)\("(\w+)"/g), ...engine.matchAll(/kind: "(\w+)"|WebError::new\(\s*"(\w+)"/g)].map(([, a, b]) => a ?? b);
  for (const kind of new Set(kinds)) {
    if (!["closed", "superseded", "detached"].includes(kind)) assert.ok(en[`error.${kind}`], `no sentence for ${kind}`);
  }
  for (const [, key] of code.matchAll(/\bt\((?:\w+ \? )?"([\w.]+)"/g)) assert.ok(en[key], `no sentence ${key}`);
});

test("every language has every sentence, with the same values", () => {
  const same = new Set(["ms", "mb"]);
  const values = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  assert.ok(others.size + 1 >= 12, `${others.size + 1} languages`);
  for (const [lang, table] of others) {
    const { pluralCategories } = new Intl.PluralRules(lang).resolvedOptions();
    for (const key of Object.keys(en)) {
      if (same.has(key)) continue;
      // A language without a form for one, and one that says numbers in a way that asks for none, have none.
      if (key.endsWith(".one") && (!pluralCategories.includes("one") || pluralCategories.includes("few"))) continue;
      assert.ok(table[key], `${lang}: ${key} is missing`);
      if (!/\.(one|two|few|many|zero)$/.test(key)) assert.deepEqual(values(table[key]), values(en[key]), `${lang}: ${key}`);
    }
    const there = { ...en, ...table };
    for (const key of Object.keys(table)) {
      const category = /\.(zero|one|two|few|many)$/.exec(key)?.[1];
      if (category) assert.ok(pluralCategories.includes(/** @type {any} */ (category)) && there[key.replace(/\.\w+$/, "")], `${lang}: ${key}`);
    }
    // Numbers that ask for a form have all of their language's.
    for (const key of Object.keys(table).filter((key) => key.endsWith(".few"))) for (const category of pluralCategories) if (category !== "other") assert.ok(table[key.replace("few", category)], `${lang}: ${key}`);
    for (const key of Object.keys(table)) assert.ok(en[key] || en[key.replace(/\.(zero|one|two|few|many)$/, "")], `${lang}: ${key} is unknown`);
  }
});

test("plurals and numbers follow the language of the sentences", async () => {
  const { define, learn, translator } = await load("www/element/strings.js");
  assert.equal(translator("de").lang, "en", "not here yet");
  assert.equal(await learn("de-AT"), true);
  assert.equal(await learn("de"), false, "once");
  const [english, german] = [translator("en-GB"), translator("de-AT")];
  assert.equal(english("announceResults", { n: 1, title: "x" }), "One match: x.");
  assert.match(english("announceResults", { n: 1344, title: "x" }), /^1,344 matches/);
  assert.match(german("ready", { n: 3344 }), /3.344/);
  assert.doesNotMatch(german("ready", { n: 3344 }), /3,344/);
  assert.equal(translator("xx-unknown").lang, "en", "a language without sentences is English");
  define("ar", { more: "المزيد", "ready.few": "few", ready: "other" });
  const arabic = translator("ar");
  assert.deepEqual([arabic.dir, arabic.lang, arabic("ready", { n: 5 }), arabic("ready", { n: 100 })], ["rtl", "ar", "few", "other"]);
  assert.equal(english.dir, "ltr");
});

test("the element with its styles is at most 25 kB compressed", async (t) => {
  const { oneFile } = await import("../../scripts/package.mjs");
  const { brotliCompressSync } = await import("node:zlib");
  const body = await oneFile();
  const small = brotliCompressSync(body).length;
  t.diagnostic(`${body.length} bytes, ${small} compressed`);
  assert.ok(small <= 25_000, `${small} bytes`);
});

test("without a DOM, importing the element does nothing and fails nowhere", async () => {
  cpSync(join(root, "www/this-but.js"), join(folder, "www/this-but.js"));
  cpSync(join(root, "www/package/index.js"), join(folder, "www/index.js"));
  for (const entry of ["www/this-but.js", "www/index.js"]) {
    const { ThisBut } = await load(entry);
    assert.equal(typeof ThisBut, "function");
  }
});
