// The first view: what a bundle shows without its model, and when the model is fetched. The wasm module is a stand-in.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { answer, open, ready, titles } from "./lib/page.mjs";
import { loaderSite } from "./mock/runtime.mjs";

const shown = (at, more = {}) => ({ index: at, title: `picture ${at}`, thumb: `t.${at}.png`, ...more });
const opening = {
  pictures: [3, 1, 7, 5, 9, 11].map((at) => shown(at, { changes: ["blue", "a ring"] })),
  examples: [
    { from: shown(2), text: "but blue", hits: [4, 6, 8].map((at, rank) => shown(at, { score: 0.9 - rank / 10 })) },
    { from: shown(0), text: "a square instead", hits: [shown(10, { score: 0.8 })] },
  ],
};

let browser;
let site;
before(async () => {
  [browser, site] = await Promise.all([launch(), loaderSite({ index: { opening } })]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const weights = () => site.state.sent.filter(({ path }) => path.endsWith("weights.bin"));

/** @param {string} name @param {object} line what `navigator.connection` says @param {(page: any) => Promise<void>} run */
function on(name, line, run, viewport = { width: 1100, height: 900 }) {
  test(name, { timeout: 120_000 }, async () => {
    site.state.sent.length = 0;
    const { page, context, problems } = await open(browser, site.address, { path: "favicon.svg", viewport });
    await page.addInitScript((line) => Object.defineProperty(navigator, "connection", { value: line, configurable: true }), line);
    await page.goto(site.address);
    try {
      await run(page);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  });
}

const example = (page, at = 0) => page.locator("this-but .try").nth(at);
const info = (page) => page.evaluate(() => document.querySelector("this-but").info);

on("on a slow line pictures and examples are there, and no weights before somebody searches", { effectiveType: "3g" }, async (page) => {
  await example(page).waitFor();
  assert.deepEqual((await titles(page)).slice(0, 3), ["picture 3", "picture 1", "picture 7"]);
  assert.match(await example(page).getAttribute("aria-label"), /“picture 2”, but blue: picture 4/);
  await page.waitForTimeout(2500);
  assert.equal(weights().length, 0);
  assert.equal(page.workers().length, 0);
  assert.equal(await info(page), null);

  // An example answers from the index, at once; the model comes meanwhile and completes the answer.
  const stored = await answer(page, () => example(page).click());
  assert.deepEqual(stored.hits.map(({ title }) => title), ["picture 4", "picture 6", "picture 8"]);
  assert.deepEqual([stored.text, stored.reference.title], ["but blue", "picture 2"]);
  assert.ok(await page.locator("this-but .tries").isHidden());
  assert.equal(await page.locator("this-but .token").innerText(), "blue");
  await ready(page);
  await page.waitForFunction(() => document.querySelector("this-but").hits.length > 3);
  assert.equal(weights().length, 1);
  await page.evaluate(() => document.querySelector("this-but").restart());
  await example(page).waitFor();
});

on("a chosen picture brings the model", { effectiveType: "3g" }, async (page) => {
  await example(page).waitFor();
  const found = await answer(page, () => page.locator("this-but [role=option]").first().click());
  assert.equal(found.reference.title, "picture 3");
  assert.equal(await page.locator("this-but .chip").allInnerTexts().then((all) => all.join()), "blue,a ring", "one is taken from the picture's own");
});

on("who saves data is told how much it is, and nothing comes before a tap", { effectiveType: "4g", saveData: true }, async (page) => {
  const load = page.locator("this-but").getByRole("button", { name: /Load the search \(3 MB\)/ });
  await load.waitFor();
  assert.equal((await answer(page, () => example(page).click())).hits.length, 3);
  await page.fill("this-but input[type=text]", "red");
  await page.locator("this-but [role=option]").first().click();
  await page.waitForTimeout(1500);
  assert.equal(weights().length, 0);
  await load.click();
  await ready(page);
  await page.waitForFunction(() => document.querySelector("this-but").hits.length > 3);
  assert.equal(weights().length, 1);
  assert.ok(await load.isHidden());
});

on("on a fast line the model comes by itself, and is there at once the next time", { effectiveType: "4g" }, async (page) => {
  await example(page).waitFor();
  await ready(page);
  assert.equal(weights().length, 1);
  const before = await titles(page);
  assert.equal(before[0], "picture 3", "the pictures stay");
  await page.addInitScript(() => Object.defineProperty(navigator, "connection", { value: { effectiveType: "2g", saveData: true } }));
  await page.reload();
  await ready(page);
  assert.equal(weights().length, 1);
});

on("another bundle has another first view", { effectiveType: "3g" }, async (page) => {
  await example(page).waitFor();
  await page.evaluate(() => document.querySelector("this-but").setAttribute("bundle", "bundle/nowhere/"));
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.equal(await example(page).isVisible(), false);
  await page.evaluate(() => document.querySelector("this-but").removeAttribute("bundle"));
  await ready(page);
});

test("the page asks at once for every module that the first view needs", async () => {
  const root = new URL("../../www/", import.meta.url);
  const html = await readFile(new URL("index.html", root), "utf8");
  const modules = (await readdir(new URL("element/", root))).filter((name) => name.endsWith(".js")).map((name) => `element/${name}`);
  for (const path of [...modules, "element/languages/en.js", "element/later/examples.js"]) assert.ok(html.includes(`rel="modulepreload" href="${path}"`), path);
});

on("the index comes once, beside the modules, and the first example before other pictures", { effectiveType: "3g" }, async (page) => {
  await example(page).waitFor();
  const paths = site.state.sent.map(({ path }) => path);
  assert.equal(paths.filter((path) => path.endsWith("bundle.json")).length, 1, "the preloaded one is used");
  const at = (/** @type {string} */ end) => paths.findIndex((path) => path.endsWith(end));
  assert.ok(at("bundle.json") < at("element/words.js"), "asked for before the modules are there");
  const pictures = page.locator("this-but .tries li:first-child img");
  assert.deepEqual(await pictures.evaluateAll((all) => all.map(({ fetchPriority, loading }) => [fetchPriority, loading])), [["high", "eager"], ["high", "eager"]]);
});

on("nothing jumps when the first view comes", { effectiveType: "3g" }, async (page) => {
  await page.addInitScript(() => {
    /** @type {any} */ (window).shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of /** @type {any[]} */ (list.getEntries())) if (!entry.hadRecentInput) /** @type {any} */ (window).shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.reload();
  await example(page).waitFor();
  await page.waitForTimeout(800);
  const shift = await page.evaluate(() => /** @type {any} */ (window).shift);
  assert.ok(shift <= 0.05, `layout shift ${shift}`);
});
