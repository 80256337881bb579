// What is seen and heard: axe in every state, the language and its direction, forced colours, the page's own properties, and
// cards without holes. Over the mock engine.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { clean } from "./lib/axe.mjs";
import { shape } from "./lib/images.mjs";
import { answer, focused, give, inMode, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite();

const option = (page, at = 0) => page.locator("this-but [role=option]:visible").nth(at);
const upload = (page) => answer(page, () => give(page, "drop", { files: [{ name: "mine.png", type: "image/png", bytes: [...shape("circle", "red")] }] }));
async function composed(page) {
  await ready(page);
  await upload(page);
  await answer(page, () => page.locator("this-but .chip").first().click());
  await say(page, "bigger");
}

/** @type {Record<string, [string, (page: any) => Promise<unknown>]>} */
const states = {
  start: ["", async (page) => (await ready(page), await option(page).waitFor())],
  "changes, scores and details": ["", async (page) => (await composed(page), await page.click("this-but >> text=Scores"), await page.click("this-but summary"))],
  history: ["", async (page) => (await composed(page), await answer(page, () => option(page, 2).click()))],
  "a closer look": ["", async (page) => (await composed(page), await option(page, 1).focus(), await page.keyboard.press("Space"))],
  "a refused image": ["", async (page) => (await ready(page), await give(page, "drop", { files: [{ name: "a.txt", type: "text/plain", bytes: [1] }] }), await page.locator("this-but .error").waitFor())],
  "a failed search": ["", async (page) => (await ready(page), await page.fill("this-but input[type=text]", "refuse"), await page.locator("this-but .error").waitFor(), await page.click("this-but .owner summary"))],
  loading: ["slow", async (page) => page.locator("this-but .progress").waitFor()],
  "gallery alone": ["gallery", async (page) => (await ready(page), await option(page).waitFor())],
  "words that wait for an image": ["pictures", async (page) => (await ready(page), await page.fill("this-but input[type=text]", "bigger"), await page.locator("this-but >> text=Which one").waitFor())],
};

for (const [name, [mode, act]] of Object.entries(states)) {
  on(`axe finds nothing: ${name}`, {}, async (page) => {
    if (mode) await inMode(page, mode, "preload");
    await act(page);
    await clean(page);
  });
}

on("language and direction are those of the sentences", { path: "?lang=de" }, async (page) => {
  await ready(page);
  const seen = () => page.evaluate(() => {
    const shell = document.querySelector("this-but").shadowRoot.querySelector(".shell");
    return [document.documentElement.lang, shell.lang, shell.dir];
  });
  assert.deepEqual(await seen(), ["en", "de", "ltr"]);
  await page.evaluate(() => (document.querySelector("this-but").lang = "xx"));
  assert.deepEqual(await seen(), ["en", "en", "ltr"], "no such sentences: English");
  await page.evaluate(() => {
    const element = document.querySelector("this-but");
    /** @type {any} */ (element.constructor).define("ar", { more: "المزيد" });
    element.lang = "ar";
  });
  assert.deepEqual(await seen(), ["en", "ar", "rtl"]);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${over} px too wide`);
});

const LANGUAGES = (await readdir(new URL("../../www/element/languages/", import.meta.url))).map((name) => name.replace(".js", ""));

on("every language is fetched when it is wanted, reads in its direction, and fits a phone", {}, async (page, { site }) => {
  await ready(page);
  const fetched = () => site.state.sent.filter(({ path }) => /languages\/(?!en)/.test(path)).map(({ path }) => path.split("/").pop());
  site.state.sent.length = 0;
  await answer(page, () => option(page).click());
  await page.click("this-but >> text=Refine");
  await page.locator("this-but .finer legend:visible").first().waitFor();
  assert.deepEqual(fetched(), []);
  assert.ok(LANGUAGES.length >= 12, LANGUAGES.join());
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const lang of LANGUAGES.filter((one) => one !== "en")) {
    await page.evaluate((lang) => (document.querySelector("this-but").lang = lang), lang);
    await page.waitForFunction((lang) => document.querySelector("this-but").shadowRoot.querySelector(".shell").lang === lang, lang);
    assert.ok(fetched().includes(`${lang}.js`), lang);
    for (const width of [1100, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(80);
      const { over, dir, english, cut } = await page.evaluate(async (words) => {
        const { shadowRoot } = document.querySelector("this-but");
        const shell = shadowRoot.querySelector(".shell");
        const texts = [...shell.querySelectorAll("button, legend, label, h2, summary, .privacy")].map((node) => node.textContent.trim());
        const cut = [...shell.querySelectorAll("button")].filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 2 && !node.closest(".pin")).map((node) => node.textContent);
        return { over: document.documentElement.scrollWidth - innerWidth, dir: shell.dir, english: texts.filter((text) => words.includes(text)), cut };
      }, ["Copy link", "Refine", "Similar to this", "How it works", "Your image never leaves this device.", "Show more"]);
      assert.equal(dir, lang === "ar" ? "rtl" : "ltr");
      assert.ok(over <= 0, `${lang} at ${width}: ${over} px too wide`);
      assert.deepEqual([english, cut], [[], []], `${lang} at ${width}`);
    }
  }
  await page.evaluate(() => (document.querySelector("this-but").lang = "ar"));
  await clean(page, "ar");
});

on("forced colours leave edges and states visible", {}, async (page) => {
  await composed(page);
  await page.emulateMedia({ forcedColors: "active" });
  const bad = await page.evaluate(() => {
    const root = document.querySelector("this-but").shadowRoot;
    const bad = [];
    for (const selector of [".go", ".chip", ".token", ".step", ".frame"]) {
      if (getComputedStyle(root.querySelector(selector)).borderTopStyle !== "solid") bad.push(selector);
    }
    const [on, off] = [root.querySelector(".chip[aria-pressed=true]"), root.querySelector(".chip[aria-pressed=false]")];
    if (getComputedStyle(on).backgroundColor === getComputedStyle(off).backgroundColor) bad.push("pressed chips look like others");
    return bad;
  });
  assert.deepEqual(bad, []);
});

on("every custom property that is documented does something", {}, async (page) => {
  await ready(page);
  const readme = await readFile(new URL("../../www/README.md", import.meta.url), "utf8");
  const looks = readme.slice(readme.indexOf("Looks:"));
  const names = [...looks.slice(0, looks.indexOf("Parts:")).matchAll(/`(?:--this-but)?(-[a-z-]+)`/g)].map(([, name]) => `--this-but${name}`);
  assert.ok(names.length > 12, names.join());
  const styles = await readFile(new URL("../../www/element/styles.js", import.meta.url), "utf8");
  for (const name of names) {
    assert.ok(styles.includes(`var(${name},`), name);
    const own = new RegExp(`(--_[a-z-]+): var\\(${name},`).exec(styles)?.[1];
    if (own) assert.ok(styles.includes(`var(${own})`), `${name}: ${own} is not used`);
  }
  await page.evaluate(() => document.querySelector("this-but").style.setProperty("--this-but-paper", "rgb(1, 2, 3)"));
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("this-but")).backgroundColor), "rgb(1, 2, 3)");
});

on("rows of results are full, at any width", {}, async (page) => {
  await composed(page);
  for (const width of [1280, 1000, 800, 620, 390]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForTimeout(200);
    const [cells, columns] = await page.evaluate(() => {
      const grid = document.querySelector("this-but").shadowRoot.querySelector(".grid");
      const shown = [...grid.children].filter((node) => node.checkVisibility());
      const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
      return [shown.length + (columns > 1 ? 3 : 0), columns];
    });
    assert.equal(cells % columns, 0, `${width}: ${cells} cells in ${columns} columns`);
  }
});

on("a card is looked at closely, used, and held against the reference", {}, async (page) => {
  await composed(page);
  await option(page, 1).focus();
  const title = await focused(page);
  await page.keyboard.press("Space");
  const peek = page.locator("this-but .peek");
  await peek.waitFor({ state: "visible" });
  assert.equal(await peek.locator(".full-title").innerText(), title);
  assert.equal(await peek.locator("figure").count(), 2, "the reference beside it");
  const found = await answer(page, () => page.keyboard.press("Enter"));
  assert.equal(found.reference.title, title);
  assert.ok(await peek.isHidden());

  await page.waitForTimeout(700);
  const was = page.locator("this-but .tile.first .was");
  const box = await was.boundingBox();
  const frame = await page.locator("this-but .tile.first .frame").boundingBox();
  await page.mouse.move(box.x + 8, box.y + 8);
  await page.mouse.down();
  await page.waitForTimeout(400);
  assert.ok((await was.boundingBox()).width > frame.width * 0.9, "it lies over the match");
  await page.mouse.up();
  await page.waitForTimeout(400);
  assert.ok((await was.boundingBox()).width < frame.width * 0.5);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference.title), title, "holding does not choose");
});

on("in titles, the words that differ from the reference are marked", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option][aria-label='red circle']").click());
  const marked = await page.evaluate(() => {
    const titles = [...document.querySelector("this-but").shadowRoot.querySelectorAll(".title")];
    return Object.fromEntries(titles.map((node) => [node.textContent, [...node.querySelectorAll("mark")].map((one) => one.textContent)]));
  });
  assert.deepEqual(marked["blue circle"], ["blue"]);
  assert.deepEqual(marked["red ring"], ["ring"]);
});

on("where words alone find nothing, they wait for an image", {}, async (page) => {
  await inMode(page, "pictures");
  await ready(page);
  assert.equal(await page.locator("this-but .chip").count(), 0);
  await page.fill("this-but input[type=text]", "in blue");
  await page.locator("this-but >> text=Which one, but in blue?").waitFor();
  const found = await answer(page, () => option(page).click());
  assert.equal(found.text, "in blue");
  assert.ok(found.reference);
});
