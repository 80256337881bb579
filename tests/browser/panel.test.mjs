// The panel of the visitor's own pictures in each of its states: axe, on desktop and phone, light and dark. With SHOTS=FOLDER it leaves
// pictures of them. Over the mock engine.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { clean } from "./lib/axe.mjs";
import { COLOURS, SHAPES, shape } from "./lib/images.mjs";
import { answer, ready } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on } = suite();

const panel = (page) => page.locator("this-but .own");
const all = SHAPES.flatMap((name) => Object.keys(COLOURS).map((colour) => ({ name: `${name} ${colour} own.png`, mimeType: "image/png", buffer: shape(name, colour) })));
const give = (page, files) => panel(page).locator("input[data-own=files]").setInputFiles(files);
const over = (page, words) => panel(page).locator("p").filter({ hasText: words }).waitFor();
async function open(page) {
  await ready(page);
  await page.locator("this-but .folder-open").click();
  await panel(page).waitFor();
}
const filled = async (page) => (await open(page), await give(page, all.slice(0, 14)), await over(page, "14 pictures of yours"));
/** More than can be read while axe looks. */
const endless = Array.from({ length: 60 }, (_, at) => all.map((one) => ({ ...one, name: `${at} ${one.name}` }))).flat();
const bad = { name: "a very long name of a picture that is none and goes on and on.png", mimeType: "image/png", buffer: Buffer.from("no picture") };

/** @type {Record<string, (page: any) => Promise<unknown>>} */
const states = {
  empty: open,
  reading: async (page) => (await open(page), await give(page, endless), await panel(page).getByRole("button", { name: "Pause" }).waitFor()),
  paused: async (page) => (await open(page), await give(page, endless), await panel(page).getByRole("button", { name: "Pause" }).click(), await panel(page).getByText(/^Paused at/).waitFor()),
  "some are read": filled,
  "some could not be read": async (page) => {
    await open(page);
    await give(page, [...all.slice(0, 5), bad, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") }]);
    await over(page, "5 pictures of yours");
    await panel(page).locator("summary").click();
  },
  "none in it": async (page) => (await open(page), await give(page, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") }), await over(page, "There are no pictures")),
  kept: async (page) => (await filled(page), await panel(page).getByRole("checkbox").check()),
  "no room": async (page) => {
    await page.evaluate(() => {
      IDBObjectStore.prototype.put = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    });
    await filled(page);
    await panel(page).getByRole("checkbox").click();
    await panel(page).getByText("no more room").waitFor();
  },
  searched: async (page) => (await filled(page), await panel(page).getByRole("button", { name: "My pictures" }).click(), await answer(page, () => panel(page).locator(".strip button").first().click())),
  forgotten: async (page) => (await filled(page), await panel(page).getByRole("button", { name: "Forget all" }).click(), await over(page, "forgotten")),
  "in Arabic": async (page) => {
    await ready(page);
    await page.evaluate(() => (document.querySelector("this-but").lang = "ar"));
    await page.waitForFunction(() => document.querySelector("this-but").shadowRoot.querySelector(".shell").lang === "ar");
    await page.locator("this-but .folder-open").click();
    await panel(page).waitFor();
    await give(page, all.slice(0, 14));
    await panel(page).locator(".strip button").first().waitFor();
  },
};

async function shots(page, name) {
  if (!process.env.SHOTS) return;
  await mkdir(process.env.SHOTS, { recursive: true });
  for (const [size, viewport] of Object.entries({ desktop: { width: 1100, height: 900 }, phone: { width: 390, height: 844 } })) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(100);
      await panel(page).screenshot({ path: join(process.env.SHOTS, `${name.replaceAll(" ", "-")}-${size}-${colorScheme}.png`) });
    }
  }
}

for (const [name, act] of Object.entries(states)) {
  on(`axe finds nothing in the open panel: ${name}`, {}, async (page) => {
    await act(page);
    await clean(page, name);
    await shots(page, name);
  });
}
