// A part of the reference: by mouse, finger and keys; what the engine gets of it, and the way back. Over the mock engine.

import assert from "node:assert/strict";
import { clean } from "./lib/axe.mjs";
import { png } from "./lib/images.mjs";
import { answer, focused, give, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite({
  first: async (page) => {
    // What the engine is given to read: size, and the colours of the first and the last pixel.
    await page.addInitScript(() => {
      const { postMessage } = Worker.prototype;
      /** @type {any} */ (window).encoded = [];
      Worker.prototype.postMessage = function (message, ...rest) {
        if (message?.type === "encode") {
          const bytes = new Uint8Array(message.rgba);
          /** @type {any} */ (window).encoded.push([message.width, message.height, [...bytes.subarray(0, 3)], [...bytes.subarray(-4, -1)]]);
        }
        return /** @type {any} */ (postMessage).call(this, message, ...rest);
      };
    });
    await page.reload();
    await ready(page);
  },
});

const [RED, BLUE] = [[200, 30, 20], [20, 40, 210]];
/** Red on the left, blue on the right. */
const halves = () => png(400, 200, { pixel: (x) => (x < 200 ? RED : BLUE) });
const upload = (page) => answer(page, () => give(page, "drop", { files: [{ name: "two.png", type: "image/png", bytes: [...halves()] }] }));
const encoded = (page) => page.evaluate(() => /** @type {any} */ (window).encoded.at(-1));
const dialog = (page) => page.locator("this-but .peek");
const size = (page) => dialog(page).locator("output").innerText();
async function unfold(page) {
  await page.locator("this-but .cut").click();
  await dialog(page).waitFor({ state: "visible" });
  await page.waitForFunction(() => /\d/.test(document.querySelector("this-but").shadowRoot.querySelector("output").textContent));
}
const use = (page) => answer(page, () => dialog(page).getByRole("button", { name: "Use this part" }).click());
const title = (page) => page.evaluate(() => document.querySelector("this-but").reference.title);

on("by mouse: the engine gets what is inside, words and steps stay, and there are ways back", {}, async (page) => {
  await upload(page);
  await say(page, "bigger");
  assert.deepEqual(await encoded(page), [400, 200, RED, BLUE]);
  await unfold(page);
  await clean(page, "crop");
  await page.setViewportSize({ width: 1100, height: 900 });
  const box = await dialog(page).locator(".stage").boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  // Drawn anew: the right half, past the edge.
  await page.mouse.move(...at(0.5, 0.02));
  await page.mouse.down();
  await page.mouse.move(...at(0.8, 0.5), { steps: 4 });
  await page.mouse.move(...at(1.2, 1.4), { steps: 4 });
  await page.mouse.up();
  assert.match(await size(page), /^(199|200) × 19\d pixels$/);
  // By a corner, then as it was before that, then by the corner again.
  const before = await size(page);
  const corner = await dialog(page).getByRole("button", { name: "Corner 4" }).boundingBox();
  const pull = async () => {
    await page.mouse.move(corner.x + 22, corner.y + 22);
    await page.mouse.down();
    await page.mouse.move(corner.x + 22 - box.width * 0.1, corner.y + 22, { steps: 4 });
    await page.mouse.up();
  };
  await pull();
  const wide = await size(page);
  assert.match(wide, /^(239|240|241) /);
  await dialog(page).getByRole("button", { name: "Undo" }).click();
  assert.equal(await size(page), before);
  await pull();
  const found = await use(page);
  assert.deepEqual([found.text, found.reference.title], ["bigger", "two"]);
  const [width, height, first, last] = await encoded(page);
  assert.equal(`${width} × ${height} pixels`, wide);
  assert.deepEqual([first, last], [RED, BLUE]);
  const shown = await page.locator("this-but .slot img").evaluate((/** @type {HTMLImageElement} */ image) => image.decode().then(() => image.naturalWidth));
  assert.equal(shown, width);

  // The box is where it was; the whole picture again; and Back among the steps.
  await unfold(page);
  assert.equal(await size(page), wide);
  await answer(page, () => dialog(page).getByRole("button", { name: "The whole picture" }).click());
  assert.equal(await page.locator("this-but .slot img").evaluate((/** @type {HTMLImageElement} */ image) => image.decode().then(() => image.naturalWidth)), 400);
  await page.locator("this-but .step").nth(1).click();
  assert.equal(await page.locator("this-but .slot img").evaluate((/** @type {HTMLImageElement} */ image) => image.decode().then(() => image.naturalWidth)), width, "the step's picture is still there");
});

on("by keys alone", {}, async (page) => {
  await upload(page);
  await page.locator("this-but .cut").focus();
  await page.keyboard.press("Enter");
  await dialog(page).waitFor({ state: "visible" });
  assert.equal(await focused(page), "The part that is searched for");
  await page.waitForFunction(() => /\d/.test(document.querySelector("this-but").shadowRoot.querySelector("output").textContent));
  assert.equal(await size(page), "320 × 160 pixels");
  for (let i = 0; i < 20; i++) await page.keyboard.press("Shift+ArrowLeft");
  assert.equal(await size(page), "160 × 160 pixels");
  for (let i = 0; i < 60; i++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Corner 1");
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowLeft");
  assert.equal(await size(page), "200 × 160 pixels");
  await page.keyboard.press("Control+z");
  assert.equal(await size(page), "192 × 160 pixels");
  await use(page);
  assert.deepEqual(await encoded(page), [192, 160, BLUE, BLUE]);
  assert.equal(await title(page), "two");
  await unfold(page);
  await page.keyboard.press("Escape");
  assert.ok(await dialog(page).isHidden());
});

on("by finger, on a picture of the gallery", { viewport: { width: 390, height: 844 }, touch: true }, async (page) => {
  await answer(page, () => page.locator("this-but [role=option]:visible").first().tap());
  const item = await page.evaluate(() => document.querySelector("this-but").reference.item);
  await page.locator("this-but .cut").tap();
  await dialog(page).locator(".stage").waitFor();
  await page.waitForTimeout(300);
  const box = await dialog(page).locator(".stage").boundingBox();
  const session = await page.context().newCDPSession(page);
  const touch = (type, x, y) => session.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x: box.x + x * box.width, y: box.y + y * box.height }] });
  // From inside the box: it moves to the lower right corner.
  await touch("touchStart", 0.5, 0.5);
  await touch("touchMove", 0.7, 0.7);
  await touch("touchMove", 0.9, 0.9);
  await touch("touchEnd", 0.9, 0.9);
  await page.waitForTimeout(100);
  const found = await use(page);
  assert.equal(found.reference.item, undefined, "a part of a picture is none of the gallery");
  const [width, height] = await encoded(page);
  assert.deepEqual([width, height], [51, 51]);
  assert.ok(found.hits.some(({ index }) => index === item), "the whole picture may be found");
});
