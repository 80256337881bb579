// Answers of thousands of pictures: only those near what is seen are in the page, each at its place, and the focus finds them all.
// Over the mock engine.

import assert from "node:assert/strict";
import { clean } from "./lib/axe.mjs";
import { answer, inMode, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite();

const tiles = (page) => page.locator("this-but .tile").count();
/** The picture that has the focus: its place, the number of all, and whether it is in sight. */
const at = (page) =>
  page.evaluate(() => {
    const tile = document.querySelector("this-but").shadowRoot.activeElement?.closest(".tile");
    if (!tile) return null;
    const { top, bottom } = tile.getBoundingClientRect();
    return { place: Number(tile.getAttribute("aria-posinset")), of: Number(tile.getAttribute("aria-setsize")), seen: bottom > 0 && top < innerHeight };
  });
async function many(page, attributes = 'limit="5000" preload') {
  await inMode(page, "many", attributes);
  await ready(page);
  const found = await say(page, "red");
  await page.locator("this-but .grid.many").waitFor();
  return found;
}
/** px that each picture is away from where a page with all of them would have it, and the height of all. */
const places = (page) =>
  page.evaluate(() => {
    const grid = document.querySelector("this-but").shadowRoot.querySelector(".grid");
    const top = grid.getBoundingClientRect().top;
    return { height: grid.getBoundingClientRect().height, tops: [...grid.querySelectorAll(".tile")].map((tile) => [Number(tile.getAttribute("aria-posinset")), Math.round(tile.getBoundingClientRect().top - top), Math.round(tile.getBoundingClientRect().left)]) };
  });

on("5,000 pictures: some are in the page, and memory stays flat", {}, async (page, { context, t }) => {
  const found = await many(page);
  assert.equal(found.hits.length, 5000);
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const used = async () => {
    await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    const of = (name) => metrics.find((one) => one.name === name).value;
    return { heap: of("JSHeapUsedSize"), nodes: of("Nodes") };
  };
  const before = await used();
  const { height } = await places(page);
  let most = 0;
  for (let part = 0; part <= 1; part += 0.02) {
    await page.evaluate((y) => scrollTo(0, y), part * height);
    await page.waitForTimeout(40);
    most = Math.max(most, await tiles(page));
  }
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(300);
  const after = await used();
  t.diagnostic(`${most} tiles at most; heap ${(before.heap / 1e6).toFixed(1)} MB, then ${(after.heap / 1e6).toFixed(1)}; ${before.nodes} nodes, then ${after.nodes}`);
  assert.ok(most < 260, `${most} tiles`);
  assert.ok(after.heap < before.heap + 3e6, `${before.heap} ${after.heap}`);
  // All of them would be 65,000; what has gone may wait for a collection.
  assert.ok(after.nodes < 10_000, `${before.nodes} ${after.nodes}`);
});

on("the focus goes everywhere by keyboard, and stays where the page is scrolled away", {}, async (page) => {
  await many(page);
  const of = Number(await page.locator("this-but .tile").first().getAttribute("aria-setsize"));
  assert.ok(of >= 5000, `${of}`);
  await page.locator("this-but input[type=text]").press("ArrowDown");
  assert.deepEqual(await at(page), { place: 1, of, seen: true });
  await page.keyboard.press("End");
  assert.deepEqual(await at(page), { place: of, of, seen: true });
  await page.keyboard.press("ArrowLeft");
  assert.deepEqual(await at(page), { place: of - 1, of, seen: true });
  await page.keyboard.press("Home");
  assert.deepEqual(await at(page), { place: 1, of, seen: true });
  await page.keyboard.press("ArrowDown");
  const third = (await at(page)).place;
  let row = 0;
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("ArrowDown");
    const now = await at(page);
    if (i) assert.equal(now.place - row, await page.evaluate(() => getComputedStyle(document.querySelector("this-but").shadowRoot.querySelector(".grid")).gridTemplateColumns.split(" ").length));
    row = now.place;
    assert.ok(now.seen);
  }
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.waitForTimeout(400);
  assert.deepEqual(await at(page), { place: row, of, seen: false }, "far away, it still has the focus");
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await at(page), { place: row + 1, of, seen: true });
  for (let i = 0; i < 31; i++) await page.keyboard.press("ArrowUp");
  assert.ok((await at(page)).place <= third + 1 && (await at(page)).seen);
});

on("each picture is where it would be if all were there, at any width; a far one can be chosen", {}, async (page) => {
  // Pictures that are still coming in are not at their places yet.
  await page.emulateMedia({ reducedMotion: "reduce" });
  await many(page, 'limit="300" preload');
  for (const width of [1100, 700, 390]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForFunction(() => document.querySelector("this-but").shadowRoot.querySelectorAll(".tile").length < 200);
    await page.waitForTimeout(300);
    const windowed = await places(page);
    await page.evaluate((y) => scrollTo(0, y), windowed.height * 0.7);
    await page.locator("this-but .tile[aria-posinset='200']").waitFor({ state: "attached" });
    const lower = await places(page);
    await page.evaluate(() => scrollTo(0, 0));
    // A window that holds all of them.
    await page.setViewportSize({ width, height: Math.ceil(windowed.height) + 900 });
    await page.waitForFunction(() => document.querySelector("this-but").shadowRoot.querySelectorAll(".tile").length >= 300);
    const all = await places(page);
    assert.equal(all.height, windowed.height);
    const full = new Map(all.tops.map(([rank, ...place]) => [rank, place]));
    assert.ok(full.size >= 300 && windowed.tops.length < full.size, `${full.size} ${windowed.tops.length} ${width}`);
    for (const [rank, ...place] of [...windowed.tops, ...lower.tops]) assert.deepEqual(place, full.get(rank), `${rank} at ${width}`);
  }
  await page.setViewportSize({ width: 1100, height: 900 });
  await page.evaluate(() => scrollTo(0, 2800));
  const far = page.locator("this-but .tile[aria-posinset='120']");
  const label = await far.getAttribute("aria-label");
  const next = await answer(page, () => far.click());
  assert.equal(next.reference.title, label);
});

on("a long answer has no complaint of axe, and a short one after it is whole", {}, async (page) => {
  await many(page);
  await page.evaluate(() => scrollTo(0, 4000));
  await page.waitForTimeout(300);
  await clean(page, "many");
  await page.evaluate(() => document.querySelector("this-but").setAttribute("limit", "12"));
  await answer(page, () => page.evaluate(() => document.querySelector("this-but").search("blue")));
  assert.equal(await page.locator("this-but .grid.many").count(), 0);
  const visible = await page.locator("this-but .tile:visible").count();
  assert.ok(visible >= 12 && visible < 24, `${visible}`);
});

on("Show more leads on, and by larger steps where there are many", {}, async (page) => {
  await inMode(page, "many", 'limit="24" preload');
  await ready(page);
  await say(page, "red");
  for (let i = 0; i < 4; i++) await answer(page, () => page.locator("this-but .more button").click());
  await page.locator("this-but .grid.many").waitFor();
  const size = Number(await page.locator("this-but .tile").first().getAttribute("aria-setsize"));
  assert.ok(size >= 192, `${size}`);
});
