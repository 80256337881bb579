// What the author of a page gets: properties, methods that resolve with hits, own content, and a search in the address. Over
// the mock engine.

import assert from "node:assert/strict";
import { clean } from "./lib/axe.mjs";
import { shape } from "./lib/images.mjs";
import { answer, focused, give, inMode, ready, say, titles } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on, here } = suite();

const option = (page, at = 0) => page.locator("this-but [role=option]:visible").nth(at);
const text = (page) => page.evaluate(() => document.querySelector("this-but").text);
const hits = (page) => page.evaluate(() => document.querySelector("this-but").hits.map(({ title }) => title));

on("every attribute is a property", {}, async (page) => {
  await ready(page);
  const seen = await page.evaluate(() => {
    const element = /** @type {any} */ (document.querySelector("this-but"));
    const values = { bundle: "other/", device: "cpu", limit: 9, timeout: 1234, worker: "w.js", preload: true, address: true, lang: "de" };
    const parts = /** @type {any} */ (document.createElement("this-but"));
    Object.assign(parts, values);
    const attributes = Object.keys(values).map((name) => [name, parts.getAttribute(name)]);
    const read = Object.keys(values).map((name) => [name, parts[name]]);
    for (const name of Object.keys(values)) parts.removeAttribute(name);
    const observed = element.constructor.observedAttributes.every((name) => name in parts);
    return { attributes: Object.fromEntries(attributes), read: Object.fromEntries(read), defaults: [parts.limit, parts.timeout, parts.device, parts.preload], observed };
  });
  assert.deepEqual(seen.attributes, { bundle: "other/", device: "cpu", limit: "9", timeout: "1234", worker: "w.js", preload: "", address: "", lang: "de" });
  assert.deepEqual(seen.read, { bundle: "other/", device: "cpu", limit: 9, timeout: 1234, worker: "w.js", preload: true, address: true, lang: "de" });
  assert.deepEqual(seen.defaults, [24, 60000, "auto", false]);
  assert.ok(seen.observed);
});

on("show and search resolve with the hits, or say why not", {}, async (page) => {
  await ready(page);
  const seen = await page.evaluate(async (address) => {
    const element = document.querySelector("this-but");
    const titles = (/** @type {any[]} */ hits) => hits.map(({ title }) => title);
    const kind = (/** @type {any} */ error) => error.kind;
    const words = titles(await element.search("green triangle"));
    const byNumber = titles(await element.show(3));
    const third = element.reference.item;
    const byAddress = titles(await element.show(`${address}bundle/pictures/ring-red.png`));
    const title = element.reference.title;
    const blob = await (await fetch(`${address}bundle/pictures/ring-red.png`)).blob();
    const byFile = titles(await element.show(blob, "mine.png"));
    const [early, late] = await Promise.all([element.search("red").catch(kind), element.search("blue square").then(titles)]);
    const refused = await element.show(new Blob(["no"], { type: "text/plain" }), "a.txt").catch(kind);
    const none = await element.show(999).catch(kind);
    return { words, byNumber, third, byAddress, title, byFile, early, late, refused, none, items: (await element.items(0, 5)).items.length };
  }, here.site.address);
  assert.equal(seen.words[0], "green triangle");
  assert.equal(seen.words.length, 24);
  assert.equal(seen.third, 3);
  assert.equal(seen.title, "ring-red");
  assert.ok(seen.byNumber.length && seen.byAddress.length && seen.byFile.length);
  assert.equal(seen.early, "superseded");
  assert.equal(seen.refused, "image");
  assert.equal(seen.none, "query");
  assert.equal(seen.items, 5);
  assert.deepEqual(await hits(page), seen.late, "what failed took nothing away");
});

on("every hit has an id and its page's address; show takes an id", {}, async (page) => {
  await ready(page);
  const seen = await page.evaluate(async (address) => {
    const element = document.querySelector("this-but");
    const kind = (/** @type {any} */ error) => error.kind;
    /** @type {any[]} */
    const told = [];
    for (const name of ["results", "select"]) element.addEventListener(name, ({ detail }) => told.push(detail.hits?.[0] ?? detail));
    const [first] = await element.search("blue ring");
    await element.show("ring-red.png");
    const byText = [element.reference.title, element.reference.id, element.reference.item];
    await element.show({ id: "ring-green.png" });
    const byId = [element.reference.title, element.reference.id];
    await element.show(`${address}bundle/pictures/ring-red.png`);
    const byAddress = element.reference.item;
    const none = await element.show({ id: "no such" }).catch(kind);
    const neither = await element.show("no-such.png").catch(kind);
    const { items } = await element.items(0, 50);
    return { first, told: told[0], byText, byId, byAddress, none, neither, items };
  }, here.site.address);
  const { id, url, extra } = seen.first;
  assert.deepEqual({ id, url, extra }, { id: "ring-blue.png", url: "shop/ring?a=1", extra: { link: "shop/ring?a=1", price: "49 €" } });
  assert.deepEqual(seen.told, seen.first, "the event's are the same");
  assert.deepEqual(seen.byText.slice(0, 2), ["red ring", "ring-red.png"]);
  assert.equal(typeof seen.byText[2], "number", "the gallery's picture, not a file");
  assert.deepEqual(seen.byId, ["green ring", "ring-green.png"]);
  assert.equal(seen.byAddress, undefined, "an address in full is read");
  assert.deepEqual([seen.none, seen.neither], ["query", "image"]);
  assert.equal(new Set(seen.items.map((item) => item.id)).size, seen.items.length);
  assert.ok(seen.items.every((item) => !/^javascript/.test(item.url ?? "")));
  const chosen = page.evaluate(() => new Promise((done) => document.querySelector("this-but").addEventListener("select", ({ detail }) => done(detail.id), { once: true })));
  await option(page).click();
  assert.match(await chosen, /^\w+-\w+\.png$/);
});

on("a failure that nobody waits for is no unhandled rejection", {}, async (page) => {
  await ready(page);
  const count = await page.evaluate(async () => {
    let count = 0;
    addEventListener("unhandledrejection", () => count++);
    document.querySelector("this-but").show(new Blob(["no"], { type: "text/plain" }));
    document.createElement("this-but").search("x");
    await new Promise((done) => setTimeout(done, 300));
    return count;
  });
  assert.equal(count, 0);
});

on("a page shows what it wants under a picture, real links among it", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    document.querySelector("this-but").renderItem = (item, { rank }) => {
      if (rank > 2) return null;
      const link = Object.assign(document.createElement("a"), { href: `#item-${item.index}`, textContent: `№ ${rank + 1} ${item.title}` });
      return link;
    };
  });
  await say(page, "green triangle");
  assert.deepEqual((await titles(page)).slice(0, 1), ["№ 1 green triangle"]);
  assert.doesNotMatch((await titles(page))[5], /№/);
  const picture = page.locator("this-but .tile").first().getByRole("button");
  assert.equal(await picture.getAttribute("aria-label"), "№ 1 green triangle", "what is read out holds what is seen");
  await clean(page, "links");
  await page.setViewportSize({ width: 1100, height: 900 });

  // By keyboard: the picture, then its link; the arrows go from picture to picture.
  await page.locator("this-but input[type=text]").press("ArrowDown");
  assert.equal(await focused(page), "№ 1 green triangle");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement.localName), "a");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("ArrowRight");
  assert.match(await focused(page), /^№ 2/);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.match(await page.evaluate(() => location.hash), /^#item-/);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null, "the link leads, it does not choose");
  await page.locator("this-but .title a").first().click();
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null);
  await page.evaluate(() => (document.querySelector("this-but").renderItem = null));
  assert.equal(await page.locator("this-but [role=listbox] > [role=option][tabindex='0']").count(), 1, "without links, options again");
  await page.evaluate(() => (document.querySelector("this-but").renderItem = (item) => item.title));
  await page.locator("this-but input[type=text]").press("ArrowDown");
  const found = await answer(page, () => page.keyboard.press("Enter"));
  assert.ok(found.reference);
});

on("several elements in a page have landmarks of different names", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    for (const one of [1, 2]) document.querySelector("main").append(Object.assign(document.createElement("this-but"), { preload: Boolean(one) }));
  });
  await page.waitForFunction(() => [...document.querySelectorAll("this-but")].every((one) => one.shadowRoot?.querySelector(".tile:not(.blank)")));
  const names = () => page.evaluate(() => [...document.querySelectorAll("this-but")].flatMap(({ shadowRoot }) => [...shadowRoot.querySelectorAll("nav, section[aria-label], form")].map((one) => one.getAttribute("aria-label"))));
  const all = await names();
  assert.equal(new Set(all).size, all.length, all.join());
  await page.evaluate(async () => {
    const [first, second] = document.querySelectorAll("this-but");
    first.remove();
    await new Promise((done) => setTimeout(done, 100));
    second.after(first);
    second.setAttribute("lang", "de");
  });
  await page.waitForTimeout(500);
  const again = await names();
  assert.equal(new Set(again).size, again.length, again.join());
  await clean(page, "three");
});

on("a page's own suggestions are offered", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => (document.querySelector("this-but").suggestions = ["ring > rounder still", "upside down"]));
  await answer(page, () => page.locator("this-but [role=option][aria-label$=ring]:visible").first().click());
  assert.deepEqual(await page.locator("this-but .chip").allInnerTexts(), ["rounder still", "upside down"]);
});

on("Back, Forward and reload lead through the search; a copied link opens it", {}, async (page, { context }) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option][aria-label^=green]:visible").first().click());
  const reference = await page.evaluate(() => document.querySelector("this-but").reference.title);
  const first = await answer(page, () => page.locator("this-but .chip").first().click());
  const second = await answer(page, () => option(page, 1).click());
  await page.goBack();
  await page.waitForFunction((text) => document.querySelector("this-but").text === text, first.text);
  assert.equal((await hits(page))[0], first.hits[0].title);
  assert.equal(await page.locator("this-but .step").count(), 3, "the later step is still there");
  await page.goForward();
  await page.waitForFunction((title) => document.querySelector("this-but").reference?.title === title, second.reference.title);
  await page.goBack();
  await page.waitForFunction((text) => document.querySelector("this-but").text === text, first.text);

  const link = await page.evaluate(() => location.href);
  assert.match(link, /#from=\d+&but=/);
  await page.reload();
  await page.waitForFunction(() => document.querySelector("this-but").hits?.length && document.querySelector("this-but").reference);
  assert.deepEqual([await text(page), (await hits(page))[0]], [first.text, first.hits[0].title]);

  const other = await context.newPage();
  await other.goto(link);
  await other.waitForFunction(() => document.querySelector("this-but").reference && document.querySelector("this-but").hits.length);
  assert.equal(await other.evaluate(() => document.querySelector("this-but").reference.title), reference);
  assert.deepEqual(await other.locator("this-but .token").allInnerTexts(), await page.locator("this-but .token").allInnerTexts());
});

on("what is typed or chosen before an address has led anywhere is not overwritten by it", {}, async (page) => {
  await inMode(page, "late", "address preload");
  await ready(page);
  await page.evaluate(() => (location.hash = "from=3&words=in+blue"));
  await page.waitForFunction(() => document.querySelector("this-but").text === "in blue");
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null, "the picture is still on its way");
  const typed = await say(page, "in green");
  assert.deepEqual([typed.reference?.item, typed.text], [3, "in green"]);

  await page.evaluate(() => (location.hash = "from=5&words=in+blue"));
  await page.waitForFunction(() => document.querySelector("this-but").text === "in blue");
  const own = await answer(page, () => give(page, "drop", { files: [{ name: "mine.png", type: "image/png", bytes: [...shape("ring", "red")] }] }));
  assert.equal(own.reference.title, "mine");
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference.title), "mine");
});

on("an element that loads at once goes where the address leads", { path: "embed.html#from=3&words=in+blue" }, async (page) => {
  await inMode(page, "mock", "address preload");
  await page.waitForFunction(() => document.querySelector("this-but").reference && document.querySelector("this-but").hits.length);
  assert.deepEqual(await page.evaluate(() => [document.querySelector("this-but").reference.item, document.querySelector("this-but").text]), [3, "in blue"]);
});

on("an uploaded picture stays on the device: a reload says so and keeps the words", {}, async (page) => {
  await ready(page);
  await answer(page, () => give(page, "drop", { files: [{ name: "mine.png", type: "image/png", bytes: [...shape("ring", "red")] }] }));
  await say(page, "in blue");
  assert.match(await page.evaluate(() => location.hash), /^#from=own&words=in\+blue$/);
  await page.reload();
  await ready(page);
  await page.locator("this-but .note", { hasText: "stayed on the device" }).waitFor();
  assert.equal(await page.inputValue("this-but input[type=text]"), "in blue");
});

on("without the attribute, the page's address is left alone", { path: "embed.html" }, async (page) => {
  await ready(page);
  await say(page, "blue");
  assert.equal(await page.evaluate(() => location.hash), "");
  assert.ok(await page.locator("this-but >> text=Copy link").isHidden());
});

on("what the site owner's table says comes with every item", {}, async (page) => {
  await ready(page);
  const seen = await page.evaluate(async () => {
    const element = document.querySelector("this-but");
    element.renderItem = ({ title, extra }) => `${title}, ${extra?.price ?? "no price"}`;
    const heard = new Promise((done) => element.addEventListener("results", ({ detail }) => done(detail.hits[0].extra), { once: true }));
    const hits = await element.search("blue square");
    return { first: hits[0].extra, other: hits.find(({ title }) => title.startsWith("red"))?.extra, heard: await heard, listed: element.hits[0].extra };
  });
  const extra = { link: "shop/square?a=1", price: "49 €" };
  assert.deepEqual(seen, { first: extra, other: undefined, heard: extra, listed: extra });
  const best = page.locator("this-but .grid [role=listitem]:visible").first();
  assert.match(await best.innerText(), /blue square, 49 €/);
  const selected = page.evaluate(() => new Promise((done) => document.querySelector("this-but").addEventListener("select", (event) => (event.preventDefault(), done(event.detail.extra)), { once: true })));
  await best.getByRole("button").first().click();
  assert.deepEqual(await selected, extra);
});

on("a picture leads to its own page, where the table has one", {}, async (page) => {
  await ready(page);
  const leads = async (/** @type {string} */ words) => {
    await say(page, words);
    await option(page).focus();
    await page.keyboard.press("Space");
    const link = page.locator("this-but .peek a");
    await link.waitFor();
    const found = [new URL(await link.evaluate((a) => a.href)).pathname, await link.innerText()];
    await page.keyboard.press("Escape");
    return found;
  };
  const [path, words] = await leads("blue square");
  assert.ok(path.endsWith("/shop/square") && /its page/.test(words), `${path} ${words}`);
  for (const other of ["red square", "green square"]) {
    const [path, words] = await leads(other);
    assert.ok(path.endsWith(".png") && /picture/.test(words), `${other}: ${path} ${words}`);
  }
});
