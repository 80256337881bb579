// What the element does when it is moved, removed, set too early, shared, or given something new while it is still busy.
// Over the mock engine.

import assert from "node:assert/strict";
import { shape } from "./lib/images.mjs";
import { answer, focused, give, inMode, message, ready, say, titles } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on, here } = suite();

const file = (name = "given.png", colour = "blue") => ({ name, type: "image/png", bytes: [...shape("ring", colour)] });
const workers = async (page, count) => {
  for (let i = 0; i < 100 && page.workers().length !== count; i++) await page.waitForTimeout(50);
  assert.equal(page.workers().length, count);
};
const picture = (page, name) => page.locator("this-but [role=option]", { has: page.locator(".title", { hasText: new RegExp(`^${name}$`) }) });

on("fifty elements that are removed while they start leave no worker", {}, async (page) => {
  await ready(page);
  await page.evaluate(async () => {
    document.querySelector("this-but").remove();
    const slow = () => new Promise((done) => setTimeout(() => done({ info: { vendor: "test" } }), 30));
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: slow } });
    for (let i = 0; i < 50; i++) {
      const one = document.createElement("this-but");
      one.setAttribute("preload", "");
      document.body.append(one);
      await new Promise((done) => setTimeout(done, i % 3));
      one.remove();
    }
    await new Promise((done) => setTimeout(done, 600));
  });
  await workers(page, 0);
});

on("out of the page and in again, the search is as it was", {}, async (page) => {
  await ready(page);
  await give(page, "drop", { files: [file()] });
  await page.waitForFunction(() => document.querySelector("this-but").hits.length && document.querySelector("this-but").reference);
  const before = await say(page, "green");
  await page.evaluate(async () => {
    const element = document.querySelector("this-but");
    const parent = element.parentNode;
    element.remove();
    await new Promise((done) => setTimeout(done, 200));
    parent.append(element);
  });
  assert.equal(await page.inputValue("this-but input[type=text]"), "green");
  assert.equal((await titles(page))[0], before.hits[0].title);
  const shown = () => page.locator("this-but .slot img").evaluate((/** @type {HTMLImageElement} */ image) => image.decode().then(() => image.naturalWidth));
  assert.equal(await shown(), 64, "the uploaded picture has an address again");
  const next = await say(page, "green triangle");
  assert.equal(next.reference.title, "given");
});

on("another language keeps image, words, steps and answer", {}, async (page) => {
  await ready(page);
  await answer(page, () => picture(page, "red circle").or(page.locator("this-but [role=option]").first()).first().click());
  const blue = await say(page, "but blue");
  await answer(page, () => page.locator("this-but [role=option]").nth(1).click());
  await page.evaluate(() => document.querySelector("this-but").setAttribute("lang", "de"));
  await page.locator("this-but >> text=Beste Treffer").or(page.locator("this-but >> text=Ähnliche Bilder")).first().waitFor();
  assert.equal(await page.locator("this-but .step").count(), 2);
  await page.locator("this-but .step").first().click();
  assert.equal(await page.inputValue("this-but input[type=text]"), "but blue");
  assert.equal((await titles(page))[0], blue.hits[0].title);
  assert.equal(page.workers().length, 1, "the engine goes on");
});

on("a language that is set while the engine starts loses nothing", {}, async (page) => {
  await page.waitForFunction(() => customElements.get("this-but") && document.querySelector("this-but").shadowRoot);
  await page.evaluate(() => (document.querySelector("this-but").lang = "de"));
  await ready(page);
  await page.locator("this-but [role=option]").first().waitFor();
});

on("another device or bundle renews the engine alone", {}, async (page) => {
  await ready(page);
  await give(page, "drop", { files: [file()] });
  await page.waitForFunction(() => document.querySelector("this-but").reference);
  const before = await say(page, "green");
  await page.evaluate(() => document.querySelector("this-but").setAttribute("device", "cpu"));
  await ready(page);
  assert.deepEqual(await page.evaluate(() => document.querySelector("this-but").hits.map(({ title }) => title)), before.hits.map(({ title }) => title));
  const again = await answer(page, () => page.evaluate(() => document.querySelector("this-but").setAttribute("bundle", "bundle/?other=/")));
  assert.equal(again.text, "green");
  assert.equal(again.reference.title, "given");
  assert.ok(await page.locator("this-but .error").isHidden());
  await workers(page, 1);
});

on("what is set before the element is there is kept; methods out of the page say so", { path: "page.css" }, async (page) => {
  const kinds = await page.evaluate(async (address) => {
    // Frameworks create the element and set its properties before its class is known, or before it is in the page.
    const early = /** @type {any} */ (document.createElement("this-but"));
    Object.assign(early, { text: "green triangle", limit: 7, suggestions: ["in blue"] });
    await import(`${address}this-but.js`);
    const late = /** @type {any} */ (document.createElement("this-but"));
    Object.assign(late, { limit: 8, text: "red square", preload: true });
    const kinds = [];
    for (const act of [() => late.show(new Blob(["x"])), () => late.search(), () => late.search("red")]) {
      await act().then(() => kinds.push("fulfilled"), (error) => kinds.push(error.kind));
    }
    late.restart();
    late.destroy();
    late.destroy();
    late.text = "red square";
    document.body.append(early, late);
    return kinds;
  }, here.site.address);
  assert.deepEqual(kinds, ["detached", "detached", "detached"]);
  await page.waitForFunction(() => [...document.querySelectorAll("this-but")].every((one) => one.hits.length && one.text));
  const seen = await page.evaluate(() => [...document.querySelectorAll("this-but")].map((one) => [one.hits[0].title, one.hits.length, one.getAttribute("limit"), one.shadowRoot.querySelector("input[type=text]").value]));
  assert.deepEqual(seen, [["green triangle", 7, "7", "green triangle"], ["red square", 8, "8", "red square"]]);
  await page.evaluate(() => document.querySelector("this-but").destroy());
  assert.equal(await page.evaluate(() => document.querySelector("this-but").search().catch(({ kind }) => kind)), "detached");
});

on("a slow upload does not overtake a newer choice, and shows that it is read", {}, async (page) => {
  await ready(page);
  await page.locator("this-but [role=option]").first().waitFor();
  const state = await page.evaluate(async () => {
    const real = createImageBitmap;
    window.createImageBitmap = /** @type {any} */ (async (...all) => (await new Promise((done) => setTimeout(done, 700)), real(.../** @type {[any]} */ (all))));
    const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
    const blob = /** @type {Blob} */ (await new Promise((done) => canvas.toBlob(done)));
    const element = document.querySelector("this-but");
    const slow = element.show(blob, "slow.png").then(() => "", (error) => error.kind);
    await new Promise((done) => setTimeout(done, 150));
    const slot = element.shadowRoot.querySelector(".slot");
    const reading = [slot.getAttribute("aria-busy"), Boolean(slot.querySelector("img"))];
    window.createImageBitmap = real;
    element.shadowRoot.querySelector("[role=option]").click();
    return { reading, kind: await slow, title: element.reference.title };
  });
  assert.deepEqual(state.reading, ["true", true], "a preview while it is read");
  assert.equal(state.kind, "superseded");
  assert.notEqual(state.title, "slow");
  assert.equal(await page.locator("this-but .slot").getAttribute("aria-busy"), null);
});

on("a failed search takes the old pictures away", {}, async (page) => {
  await ready(page);
  await say(page, "blue");
  await page.fill("this-but input[type=text]", "red refuse");
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.equal(await page.locator("this-but [role=option]").count(), 0);
  assert.equal((await say(page, "red ring")).hits[0].title, "red ring");
  assert.ok(await page.locator("this-but [role=option]").first().isVisible());
});

on("one paste fills one element: the one that was used last", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => document.querySelector("main").append(document.createElement("this-but")));
  await page.waitForFunction(() => [...document.querySelectorAll("this-but")].every((one) => one.info));
  const names = () => page.evaluate(() => [...document.querySelectorAll("this-but")].map((one) => one.reference?.title ?? null));
  const settled = (count) => page.waitForFunction((n) => [...document.querySelectorAll("this-but")].filter((one) => one.reference).length >= n, count);
  await give(page, "paste", { files: [file("one.png")], at: "body" });
  await settled(1);
  await page.waitForTimeout(200);
  assert.deepEqual(await names(), ["one", null]);
  await page.locator("this-but").nth(1).locator(".privacy").click();
  await give(page, "paste", { files: [file("two.png")], at: "body" });
  await settled(2);
  assert.deepEqual(await names(), ["one", "two"]);
});

on("an error stays with the element and does not reach the window", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    /** @type {any} */ (window).reached = [];
    window.addEventListener("error", (event) => /** @type {any} */ (window).reached.push(event.type));
    document.querySelector("this-but").addEventListener("error", ({ detail }) => /** @type {any} */ (window).reached.push(detail.kind));
  });
  await page.fill("this-but input[type=text]", "refuse");
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).reached), ["query"]);
});

on("the graphics card's module is fetched when it is asked for, and not before", {}, async (page) => {
  await page.evaluate(() => Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => ({ info: { vendor: "test" } }) } }));
  await inMode(page, "plain");
  await ready(page);
  await page.waitForTimeout(5000);
  assert.equal(page.workers().length, 1);
  await page.click("this-but summary");
  const offer = page.locator("this-but .how button");
  assert.match(await offer.innerText(), /graphics card \(3\.8 MB\)/);
  await offer.click();
  await page.waitForFunction(() => localStorage.getItem("thisbut:device"));
  assert.ok(await offer.isHidden());
  await workers(page, 1);
});

on("a worker that died silently costs seconds, not a minute", {}, async (page) => {
  await ready(page);
  const began = Date.now();
  const found = await say(page, "blue square dead", 40_000);
  assert.equal(found.hits[0].title, "blue square");
  assert.ok(Date.now() - began < 30_000, `${Date.now() - began} ms`);
});

on("words that the model cannot read any more are named", {}, async (page) => {
  await ready(page);
  await say(page, "blue ".repeat(40));
  assert.match(await page.locator("this-but .note").innerText(), /first words fit/);
  await say(page, "blue");
  assert.equal(await page.locator("this-but .note").innerText(), "");
});

on("an answered step is not rewritten; changes of one picture add up and can be taken back", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option][aria-label^=green]").first().click());
  const chip = (text) => page.locator("this-but .chip", { hasText: text });
  const first = await answer(page, () => chip("in blue").click());
  assert.equal(first.text, "in blue");
  const second = await answer(page, () => chip("in red").click());
  assert.equal(second.text, "in blue, in red");
  assert.deepEqual(await page.locator("this-but .token").allInnerTexts(), ["in blue", "in red"]);
  assert.equal(await page.locator("this-but .step").count(), 3);
  const third = await answer(page, () => page.locator("this-but .token").first().click());
  assert.equal(third.text, "in red");
  await page.locator("this-but .step").nth(1).click();
  assert.equal((await titles(page))[0], first.hits[0].title);
  const typed = await say(page, "bigger");
  assert.equal(typed.text, "in blue, bigger");
  await page.locator("this-but .step").nth(1).click();
  assert.equal(await page.inputValue("this-but input[type=text]"), "");
  assert.deepEqual(await page.locator("this-but .token").allInnerTexts(), ["in blue"]);
  assert.equal((await titles(page))[0], first.hits[0].title);
});

on("a chip stays where it is when it is pressed", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  const boxes = () => page.locator("this-but .chip").evaluateAll((all) => all.map((one) => [one.textContent, one.getBoundingClientRect().x]));
  const before = await boxes();
  await answer(page, () => page.locator("this-but .chip").first().click());
  assert.deepEqual(await boxes(), before);
  assert.equal(await page.locator("this-but .chip").first().getAttribute("aria-pressed"), "true");
});

on("choosing a step with the keyboard keeps the focus on it", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  await answer(page, () => page.locator("this-but [role=option]").nth(2).click());
  await page.locator("this-but .step").first().focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("this-but .step").first().getAttribute("aria-current"), "step");
  assert.match(await focused(page), /^Back to step 1/);
});

on("on touch, a chip does not raise the keyboard", { viewport: { width: 390, height: 844 }, touch: true }, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().tap());
  assert.notEqual(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement?.tagName), "INPUT");
  await answer(page, () => page.locator("this-but .chip").first().tap());
  assert.notEqual(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement?.tagName), "INPUT");
  const small = await page.evaluate(() =>
    [...document.querySelector("this-but").shadowRoot.querySelectorAll("button, summary, input")]
      .filter((node) => node.checkVisibility() && !node.closest(".pin") && node.getBoundingClientRect().height < 44)
      .map((node) => `${node.className} ${node.getBoundingClientRect().height}`),
  );
  assert.deepEqual(small.filter((one) => !/^ \d/.test(one)), [], "targets for a finger");
});

on("Escape and the arrow keys do in the field what they promise", {}, async (page) => {
  await ready(page);
  await say(page, "blue");
  await page.locator("this-but input[type=text]").focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await focused(page), /blue/);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement.id), "words");
  await page.keyboard.press("Escape");
  assert.equal(await page.inputValue("this-but input[type=text]"), "");
  await page.locator("this-but >> text=Start from one of these").waitFor();
});

// Where a page offers the folder, several files are one (folder.test.mjs).
on("of several files the taken one is named, and a refused one too", { path: "embed.html" }, async (page) => {
  await ready(page);
  const text = { name: "notes.txt", type: "text/plain", bytes: [104, 105] };
  const found = await answer(page, () => give(page, "drop", { files: [text, file("cat.png"), file("dog.png")] }));
  assert.equal(found.reference.title, "cat");
  assert.match(await page.locator("this-but .note").innerText(), /“cat\.png” was taken/);
  await give(page, "drop", { files: [text] });
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /“notes\.txt” is not an image/);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference.title), "cat", "the search stays");
});

on("a dropped picture address is fetched where it may be, else refused in words", {}, async (page, { problems }) => {
  await ready(page);
  const own = await answer(page, () => give(page, "drop", { link: `${here.site.address}bundle/pictures/circle-red.png` }));
  assert.equal(own.reference.title, "circle-red");
  await give(page, "drop", { link: "https://other.example/cat.png" });
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /image at https:\/\/other\.example\/cat\.png cannot be fetched/);
  // The page's own content policy has refused it, and the browser says so.
  assert.ok(problems.splice(0).every((line) => line.includes("other.example")));
});
