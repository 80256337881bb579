// Every picture of trainer/tests/fixtures on the real page. What the engine gets of each, or that it is refused, is written in
// shown.json beside them, to which the command line's decoder is held as well (trainer/src/images/shown.rs).
// SHOWN=write writes the file anew.

import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { extname } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { open, ready, upload } from "./lib/page.mjs";
import { site } from "./lib/site.mjs";

const FOLDER = new URL("../../trainer/tests/fixtures/", import.meta.url);
const TYPES = { ".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp" };
/** Places a row and a column. */
const [ACROSS, DOWN] = [8, 6];

let browser;
let here;
before(async () => {
  [browser, here] = await Promise.all([launch(), site({ tiny: true })]);
});
after(async () => {
  await browser?.close();
  await here?.close();
});

/** Width, height, and the red, green, blue and alpha of 8 × 6 places, as the page's own decoder gives them. */
function seen(page, bytes, type) {
  return page.evaluate(
    async ({ base64, type, across, down }) => {
      const { decode } = await import(new URL("element/later/decode.js", location.href).href);
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const { width, height, rgba } = await decode(new Blob([bytes], { type }));
      const pixels = new Uint8Array(rgba);
      const places = [];
      for (let row = 0; row < down; row++) {
        for (let column = 0; column < across; column++) {
          const [x, y] = [Math.floor(((column + 0.5) * width) / across), Math.floor(((row + 0.5) * height) / down)];
          places.push([...pixels.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)]);
        }
      }
      return { width, height, places };
    },
    { base64: bytes.toString("base64"), type, across: ACROSS, down: DOWN },
  );
}

/** Whether the page answers an upload, or says that it cannot open it. */
async function answers(page, name, type, buffer) {
  await page.evaluate(() => document.querySelector("this-but").restart());
  await page.evaluate(() => {
    window.answered = false;
    document.querySelector("this-but").addEventListener("results", () => (window.answered = true), { once: true });
  });
  await upload(page, name, type, buffer);
  await page.waitForFunction(() => window.answered || !document.querySelector("this-but").shadowRoot.querySelector(".error").hidden);
  if (await page.evaluate(() => window.answered)) return true;
  assert.match(await page.locator("this-but .error").innerText(), /cannot be opened/, name);
  return false;
}

/** Within two steps of 255, of what is seen through the alpha channel. */
function near(name, found, expected) {
  assert.deepEqual([found.width, found.height], [expected.width, expected.height], name);
  for (const [at, place] of found.places.entries()) {
    const share = expected.places[at][3] / 255;
    const apart = place.map((value, channel) => Math.abs(value - expected.places[at][channel]) * (channel < 3 ? share : 1));
    assert.ok(Math.max(...apart) <= 2, `${name}, place ${at}: ${place}, not ${expected.places[at]}`);
  }
}

const json = (shown) =>
  `{\n${Object.entries(shown).map(([name, one]) => `"${name}": ${JSON.stringify(one)}`).join(",\n")}\n}\n`;

test("every picture is what shown.json says", { timeout: 600_000 }, async (t) => {
  const file = new URL("shown.json", FOLDER);
  const names = (await readdir(FOLDER)).filter((name) => extname(name) in TYPES).sort();
  const known = process.env.SHOWN === "write" ? null : JSON.parse(await readFile(file, "utf8"));
  const { page, context, problems } = await open(browser, here.address);
  const shown = {};
  await ready(page);
  for (const name of names) {
    const [bytes, type] = [await readFile(new URL(name, FOLDER)), TYPES[extname(name)]];
    shown[name] = (await answers(page, name, type, bytes)) ? await seen(page, bytes, type) : null;
    if (!known) continue;
    if (shown[name] && known[name]) near(name, shown[name], known[name]);
    else assert.equal(shown[name], known[name], name);
  }
  assert.deepEqual(problems, []);
  await context.close();
  if (!known) await writeFile(file, json(shown));
  const refused = names.filter((name) => !shown[name]);
  t.diagnostic(`${names.length} pictures, of which ${refused.length} are refused: ${refused.join(", ")}`);
});
