// Finer questions: what is not wanted, picture against words, a second image, a part of the gallery; the answer as a file. Over
// the mock engine.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { answer, focused, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite({
  timeout: 120_000,
  first: async (page) => {
    await ready(page);
    await answer(page, () => page.locator("this-but [role=option]").first().click());
    await page.click("this-but >> text=Refine");
    await page.locator("this-but .finer fieldset:visible").first().waitFor();
  },
});

const finer = (page) => page.locator("this-but .finer");
const all = (found) => found.hits.map(({ title }) => title);

on("what is not wanted goes to the end, and can be taken back", {}, async (page) => {
  const before = await say(page, "red");
  const [colour] = before.hits[0].title.split(" ");
  const field = finer(page).getByRole("textbox", { name: "Not wanted" });
  await field.fill(colour);
  const without = await answer(page, () => field.press("Enter"));
  assert.ok(!all(without)[0].includes(colour), all(without).join());
  assert.equal(await focused(page), "Not wanted", "the focus stays");
  const again = await answer(page, () => finer(page).getByRole("button", { name: `Remove “${colour}”` }).click());
  assert.deepEqual(all(again), all(before));
});

on("a part of the gallery, and other words in it", {}, async (page) => {
  const circles = await answer(page, () => finer(page).getByRole("button", { name: /^circle/ }).click());
  assert.ok(all(circles).every((title) => title.includes("circle")), all(circles).join());
  assert.equal(await finer(page).getByRole("button", { name: /^circle/ }).getAttribute("aria-pressed"), "true");
  const blue = await say(page, "in blue");
  assert.ok(all(blue).every((title) => title.includes("circle")));
});

on("picture against words, where there are both", {}, async (page) => {
  const slide = finer(page).getByRole("slider");
  assert.equal(await slide.isVisible(), false);
  const even = await say(page, "triangle");
  await slide.waitFor();
  const picture = await answer(page, () => slide.fill("0"));
  assert.notDeepEqual(all(picture), all(even));
  assert.equal(await slide.inputValue(), "0");
});

on("a second image, and without it again", {}, async (page) => {
  await page.locator("this-but [role=option]:visible").nth(3).focus();
  const title = await focused(page);
  await page.keyboard.press("Space");
  await answer(page, () => page.locator("this-but .peek").getByRole("button", { name: "Add as a second image" }).click());
  assert.match(await finer(page).locator(".second").innerText(), new RegExp(title));
  await answer(page, () => finer(page).locator(".second button").click());
  assert.equal(await finer(page).locator(".second").count(), 0);
});

on("the answer as a table and as JSON", {}, async (page) => {
  const found = await say(page, "blue, \"large\"");
  const load = async (name) => {
    const [file] = await Promise.all([page.waitForEvent("download"), finer(page).getByRole("button", { name }).click()]);
    return readFile(await file.path(), "utf8");
  };
  const [head, first, ...rest] = (await load("CSV")).trim().split("\r\n");
  assert.equal(head, "rank,score,index,id,title,tags,image,url,link,price,URL");
  const { title, id, index } = found.hits[0];
  assert.ok(first.startsWith("1,") && first.includes(`,${index},${id},${title},,http`), first);
  assert.ok(first.endsWith(`,${found.hits[0].url},${found.hits[0].extra.link},49 €,`), "what the owner's table says");
  assert.equal(rest.length, found.hits.length - 1);
  const json = JSON.parse(await load("JSON"));
  assert.equal(json.text, "blue, \"large\"");
  assert.deepEqual(json.hits.map(({ title }) => title), all(found));
  assert.deepEqual([json.balance, json.without, json.also, typeof json.reference.index], [0.5, [], [], "number"]);
  assert.match(json.reference.id, /^\w+-\w+\.png$/);
  assert.deepEqual([json.hits[0].id, json.hits[0].url], [id, found.hits[0].url]);
  assert.deepEqual(json.query, { model: "mock", space: "mock", dimension: 4, count: 1, values: [0.5, 0.5, -0.5, 0.5] });
  const { asCsv } = await page.evaluate(async () => {
    const { asCsv } = await import(new URL("element/later/refine.js", location.href).href);
    return { asCsv: asCsv([{ score: 0.5, index: 1, id: "0815", title: 'a "b", c', tags: ["dark red", "wool"], image: "x.png", extra: { id: "0815", note: "a, b" } }]) };
  });
  assert.match(asCsv, /image,url,note\r\n1,0\.5,1,0815,"a ""b"", c",dark red\|wool,http[^,]+,,"a, b"\r\n$/);
});

on("a picture alone is saved with all of its vectors, a search that is no one query with none", {}, async (page) => {
  const load = async () => {
    const [file] = await Promise.all([page.waitForEvent("download"), finer(page).getByRole("button", { name: "JSON" }).click()]);
    return JSON.parse(await readFile(await file.path(), "utf8"));
  };
  const alone = await load();
  assert.deepEqual([alone.text, alone.query.dimension, alone.query.count, alone.query.values.length], ["", 4, 2, 8]);
  assert.ok(alone.hits.length > 1, "the answer that is seen, not that of the question for its vectors");
  await say(page, "blue");
  const field = finer(page).getByRole("textbox", { name: "Not wanted" });
  await field.fill("ring");
  await answer(page, () => field.press("Enter"));
  const several = await load();
  assert.deepEqual([several.without, several.query], [["ring"], null]);
});

on("what is asked finely is in the address: reload, a copied link, and Back", {}, async (page, { context }) => {
  const reference = await page.evaluate(() => document.querySelector("this-but").reference.item);
  await say(page, "red");
  await page.locator("this-but [role=option]:visible").nth(3).focus();
  await page.keyboard.press("Space");
  await answer(page, () => page.locator("this-but .peek").getByRole("button", { name: "Add as a second image" }).click());
  const field = finer(page).getByRole("textbox", { name: "Not wanted" });
  await field.fill("green, or so");
  await answer(page, () => field.press("Enter"));
  await answer(page, () => finer(page).getByRole("button", { name: /^circle/ }).click());
  const last = await answer(page, () => finer(page).getByRole("slider").fill("30"));
  const second = await finer(page).locator(".second").innerText();
  const link = await page.evaluate(() => location.href);
  assert.match(link, new RegExp(`#from=${reference}&words=red&not=green%2C\\+or\\+so&weight=30&with=\\d+&only=circle$`));

  const asked = async (there) => {
    await there.locator("this-but .finer .second").waitFor();
    await there.waitForFunction(() => document.querySelector("this-but").hits?.length && document.querySelector("this-but").reference);
    return there.evaluate(() => {
      const { shadowRoot, hits, text } = document.querySelector("this-but");
      const one = (selector) => shadowRoot.querySelector(selector);
      return [text, one(".finer .second").textContent, one(".finer .token").textContent, one(".finer input[type=range]").value, one(".finer .facet[aria-pressed=true]").textContent, hits.map(({ title }) => title)];
    });
  };
  const expected = ["red", second, "green, or so", "30", "circle4", all(last)];
  await page.reload();
  assert.deepEqual(await asked(page), expected);
  const other = await context.newPage();
  await other.goto(link);
  assert.deepEqual(await asked(other), expected);

  // Another image: nothing is asked finely; Back asks as before.
  await answer(page, () => page.locator("this-but [role=option]:visible").first().click());
  assert.doesNotMatch(await page.evaluate(() => location.hash), /not=|weight|with|only/);
  await page.goBack();
  assert.deepEqual(await asked(page), expected);
  // A word that is none of the usual ones can be let go of.
  await other.goto(link.replace("only=circle", "only=blue"));
  await other.reload();
  await answer(other, () => finer(other).getByRole("button", { name: "blue" }).click());
  assert.doesNotMatch(await other.evaluate(() => location.hash), /only/);
});

on("where nothing is close, it says so and shows a few", {}, async (page) => {
  const found = await say(page, "something unknown");
  assert.equal(found.text, "something unknown");
  const out = page.locator("this-but .out");
  assert.match(await out.locator("h2").innerText(), /^Nothing close/);
  assert.match(await out.locator(".unknown").innerText(), /nearest pictures/);
  const shown = await page.locator("this-but [role=option]:visible").count();
  assert.ok(shown > 1 && shown < 12, `${shown} pictures`);
  await say(page, "blue");
  assert.match(await out.locator("h2").innerText(), /^Best matches/);
  assert.equal(await out.locator(".unknown").isVisible(), false);
});

on("no sideways scrolling on a phone", { viewport: { width: 390, height: 844 } }, async (page) => {
  await say(page, "blue");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});
