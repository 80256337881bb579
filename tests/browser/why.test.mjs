// "Why these?": where the control is, what is computed and when, what is seen and what a screen reader gets. Over the mock engine.

import assert from "node:assert/strict";
import { clean } from "./lib/axe.mjs";
import { png } from "./lib/images.mjs";
import { answer, focused, give, inMode, message, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite({
  timeout: 120_000,
  first: async (page) => {
    // The questions to the engine.
    await page.addInitScript(() => {
      const { postMessage } = Worker.prototype;
      /** @type {any} */ (window).asked = [];
      Worker.prototype.postMessage = function (message, ...rest) {
        if (message?.type === "explain") /** @type {any} */ (window).asked.push(message);
        return /** @type {any} */ (postMessage).call(this, message, ...rest);
      };
    });
    await page.reload();
    await ready(page);
  },
});

const GREY = [120, 120, 120];
const control = (page) => page.locator("this-but").getByRole("button", { name: "Why these?" });
const dialog = (page) => page.locator("this-but .peek");
const told = (page) => dialog(page).getByRole("status").textContent();
const asked = (page) => page.evaluate(() => /** @type {any} */ (window).asked);
const upload = (page) => answer(page, () => give(page, "drop", { files: [{ name: "grey.png", type: "image/png", bytes: [...png(400, 200, { pixel: () => GREY })] }] }));
async function unfold(page) {
  await control(page).click();
  await dialog(page).locator("canvas").waitFor();
}
/** The heat's colour at a point of the picture, and how much of it there is. */
const at = (page, x, y) =>
  page.evaluate(
    ([x, y]) => {
      const canvas = document.querySelector("this-but").shadowRoot.querySelector(".heat canvas");
      const { data } = canvas.getContext("2d").getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1);
      return [...data];
    },
    [x, y],
  );
/** After the turn from one map to the next. */
const turned = (page) => page.waitForTimeout(400);

on("it is there where there are an image and words, and nothing is computed before it is asked for", {}, async (page) => {
  assert.equal(await control(page).isVisible(), false, "nothing was asked yet");
  await upload(page);
  assert.equal(await control(page).isVisible(), false, "an image without words");
  await say(page, "with a red hat");
  assert.equal(await control(page).isVisible(), true);
  const loaded = () => page.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("later/why.js")));
  assert.deepEqual([await asked(page), await loaded()], [[], false]);
  await unfold(page);
  assert.equal(await loaded(), true);
  const [{ text, width, height, key }] = await asked(page);
  assert.deepEqual([text, width, height], ["with a red hat", 400, 200]);
  assert.match(key, /^file:/);
});

on("what counted is seen on the picture and said in words; a word shows its own", {}, async (page) => {
  await upload(page);
  await say(page, "with a red hat");
  await unfold(page);
  const { width, height } = await dialog(page).locator(".heat canvas").evaluate(({ width, height }) => ({ width, height }));
  assert.deepEqual([width, height], [400, 200], "the picture's own shape");
  // The mock's hottest cell of the whole is the second of the first row.
  const [hot, cold] = [await at(page, 0.375, 0.125), await at(page, 0.875, 0.875)];
  assert.ok(hot[3] > 240 && hot[0] > hot[2] + 60, hot.join());
  assert.ok(cold[3] < 12, cold.join());
  assert.equal(await told(page), "In the picture: mostly the top. In the words: hat 40 %, red 30 %, a 20 %, with 10 %.");
  assert.match(await dialog(page).locator(".heat").getAttribute("aria-label"), /^grey\. In the picture: mostly the top\./);
  await clean(page, "why");
  await page.emulateMedia({ reducedMotion: "no-preference" });
  // By keys alone: from the way out to the first word.
  assert.equal(await focused(page), "Close");
  await page.keyboard.press("Tab");
  assert.match(await focused(page), /^with/);
  const hat = dialog(page).getByRole("button", { name: /^hat/ });
  await hat.focus();
  await page.keyboard.press("Space");
  await turned(page);
  assert.equal(await told(page), "For “hat” it looked at: mostly the bottom right.");
  assert.ok((await at(page, 0.875, 0.875))[3] > 240 && (await at(page, 0.375, 0.125))[3] < 12);
  const pressed = dialog(page).locator("[aria-pressed=true]");
  assert.equal(await pressed.count(), 1);
  await dialog(page).getByRole("button", { name: /^with/ }).click();
  assert.match(await told(page), /“with” .* top left/);
  assert.equal(await pressed.count(), 1, "one at a time");
  await dialog(page).getByRole("button", { name: /^with/ }).click();
  assert.match(await told(page), /^In the picture: mostly the top\./);
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "hidden" });
  assert.equal(await focused(page), "Why these?", "back where it was opened");
});

on("changes that were taken one after the other are shown as one each", {}, async (page) => {
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  await answer(page, () => page.locator("this-but .chip").first().click());
  const first = await page.locator("this-but .token").first().innerText();
  await unfold(page);
  assert.equal(await dialog(page).locator(".weigh").count(), 1, "one change is its words");
  await page.keyboard.press("Escape");
  await answer(page, () => page.locator("this-but .chip").nth(1).click());
  await unfold(page);
  assert.equal(await dialog(page).locator(".weigh").count(), 2);
  const { phrases } = (await asked(page)).at(-1);
  assert.deepEqual([phrases.length, phrases[0]], [2, first]);
  await dialog(page).locator(".weigh").nth(1).getByRole("button").first().click();
  assert.ok((await told(page)).includes(`“${first}”`));
});

on("a model that has no attention offers nothing; one that fails says so and the answer stays", {}, async (page) => {
  await upload(page);
  const { hits } = await say(page, "silent");
  await control(page).click();
  await page.locator("this-but .error").waitFor();
  assert.equal(await dialog(page).isVisible(), false);
  assert.ok((await message(page)).length > 10);
  assert.equal(await page.locator("this-but .tile:not(.blank)").count() > 0, hits.length > 0);
  await inMode(page, "pictures");
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  await say(page, "blue");
  assert.equal(await control(page).isVisible(), false);
});

on("in another language it is in that language", {}, async (page) => {
  await page.evaluate(() => (document.querySelector("this-but").lang = "de"));
  await upload(page);
  await say(page, "with a red hat");
  await page.locator("this-but").getByRole("button", { name: "Warum diese?" }).click();
  await dialog(page).locator("canvas").waitFor();
  assert.match(await told(page), /^Im Bild: vor allem oben\. In den Worten: hat 40 %/);
});
