// Takes pictures of the page in its states: node tests/browser/mock/shots.mjs NODE_MODULES OUT [filter]

import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "../lib/browser.mjs";
import { mockSite } from "./site.mjs";

const [modules, out, filter = ""] = process.argv.slice(2);
await mkdir(out, { recursive: true });
const site = await mockSite({ modules });
const browser = await launch();
const photo = join(modules, "@lobehub/fluent-emoji-3d/assets/1f469-1f3fd-200d-2696-fe0f.webp");

const ready = (page) => page.waitForFunction(() => document.querySelector("this-but").shadowRoot?.querySelector("[role=option]"));
const settle = (page) => page.waitForTimeout(900);
async function similar(page) {
  await ready(page);
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click("this-but .slot-main")]);
  await chooser.setFiles({ name: "judge.webp", mimeType: "image/webp", buffer: await readFile(photo) });
  await page.waitForTimeout(600);
}
async function composed(page) {
  await similar(page);
  await page.fill("this-but input[type=text]", "a man with red hair");
  await settle(page);
}

/** @type {Record<string, [string, (page: import("playwright-core").Page) => Promise<unknown>]>} */
const states = {
  loading: ["?slow", async (page) => page.waitForTimeout(4500)],
  ready: ["", async (page) => (await ready(page), await settle(page))],
  similar: ["", async (page) => (await similar(page), await settle(page))],
  results: ["", async (page) => (await composed(page), await page.click("this-but >> text=Scores"), await settle(page))],
  history: [
    "",
    async (page) => {
      await composed(page);
      await page.click("this-but [role=option] >> nth=2");
      await settle(page);
      await page.fill("this-but input[type=text]", "as a firefighter");
      await settle(page);
      await page.click("this-but [role=option] >> nth=1");
      await settle(page);
      await page.click("this-but summary");
      await page.keyboard.press("Tab");
    },
  ],
  text: ["", async (page) => (await ready(page), await page.fill("this-but input[type=text]", "a happy cat"), await settle(page))],
  error: ["?version", async (page) => page.waitForTimeout(1500)],
  badimage: [
    "",
    async (page) => {
      await composed(page);
      const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click("this-but .slot-main")]);
      await chooser.setFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
      await settle(page);
    },
  ],
  gallery: ["?gallery", async (page) => (await ready(page), await settle(page))],
  chosen: [
    "?gallery",
    async (page) => {
      await ready(page);
      await page.click("this-but [role=option] >> nth=1");
      await settle(page);
      await page.fill("this-but input[type=text]", "as a firefighter");
      await settle(page);
    },
  ],
  refused: [
    "?gallery",
    async (page) => {
      await ready(page);
      await page.evaluate(() => document.querySelector("this-but").show(new Blob(["x"], { type: "image/png" }), "mine.png").catch(() => {}));
      await settle(page);
    },
  ],
  damaged: ["?damaged", async (page) => (await ready(page), await page.click("this-but [role=option] >> nth=1"), await settle(page))],
  stacked: [
    "",
    async (page) => {
      await similar(page);
      await page.locator("this-but .chip").nth(0).click();
      await settle(page);
      await page.locator("this-but .chip").nth(1).click();
      await settle(page);
      await page.mouse.move(5, 5);
    },
  ],
  peek: ["", async (page) => (await composed(page), await page.locator("this-but [role=option]").nth(3).focus(), await page.keyboard.press("Space"), await settle(page))],
  how: ["", async (page) => (await composed(page), await page.click("this-but summary"), await page.locator("this-but .how").scrollIntoViewIfNeeded(), await settle(page))],
  drag: [
    "",
    async (page) => {
      await ready(page);
      await page.evaluate(() => {
        const data = new DataTransfer();
        data.items.add(new File(["x"], "x.png", { type: "image/png" }));
        document.body.dispatchEvent(new DragEvent("dragenter", { bubbles: true, cancelable: true, dataTransfer: data }));
      });
      await settle(page);
    },
  ],
  pinned: ["", async (page) => (await composed(page), await page.mouse.wheel(0, 900), await page.evaluate(() => scrollTo(0, 900)), await settle(page))],
  rtl: [
    "",
    async (page) => {
      await page.waitForFunction(() => customElements.get("this-but"));
      await page.evaluate(() => {
        const element = document.querySelector("this-but");
        /** @type {any} */ (element.constructor).define("ar", { this: "هذا،", but: "لكن …", resultsBest: "أفضل النتائج", privacy: "صورتك لا تغادر هذا الجهاز أبدا." });
        element.lang = "ar";
      });
      await composed(page);
    },
  ],
};

for (const [name, [query, act]] of Object.entries(states)) {
  for (const [size, viewport] of Object.entries({ desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } })) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      const file = `${name}-${size}-${colorScheme}.png`;
      if (!file.includes(filter)) continue;
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1, serviceWorkers: "block", hasTouch: size === "phone", isMobile: size === "phone" });
      const page = await context.newPage();
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && !/Service Worker|adapters/.test(message.text()) && console.log(file, message.text()));
      page.on("pageerror", (error) => console.log(file, "ERROR", error.message));
      if (query) {
        await page.route("**/element/element.js", async (route) => {
          const answer = await route.fetch();
          const body = (await answer.text()).replace('"../worker.js"', `"../worker.js?mode=${query.slice(1)}"`);
          await route.fulfill({ response: answer, body });
        });
      }
      await page.goto(site.address);
      try {
        await act(page);
      } catch (error) {
        console.log(file, error.message);
      }
      await page.screenshot({ path: join(out, file), fullPage: name === "history" && size === "phone" });
      await context.close();
    }
  }
}
await browser.close();
await site.close();
