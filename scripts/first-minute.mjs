// How long a first visit takes on a slow and on a fast line, in headless Chromium that holds back the network:
//   node scripts/first-minute.mjs [SITE]      default: dist/
// Prints, for each line: milliseconds until the first picture and the first example are seen, until an example has played from
// its stored answer, and until the model has answered; and the bytes that had come by then.

import { existsSync } from "node:fs";
import { launch } from "../tests/browser/lib/browser.mjs";
import { serve } from "../tests/browser/lib/server.mjs";

const LINES = { "1.6 Mbit/s, 150 ms": [1.6, 150], "12 Mbit/s, 40 ms": [12, 40] };
const folder = process.argv[2] ?? "dist";
if (!existsSync(`${folder}/runtime/runtime.js`)) throw new Error(`${folder}: no built site; run scripts/stage-site ${folder}`);
const site = await serve({ mounts: [["/", folder]], quality: 9 });
const browser = await launch();
for (const [name, [megabits, latency]] of Object.entries(LINES)) {
  site.state.sent.length = 0;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, serviceWorkers: "block" });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  const throughput = (megabits * 1e6) / 8;
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: throughput, uploadThroughput: throughput });
  const began = Date.now();
  const told = [];
  const mark = (/** @type {string} */ what) => {
    const bytes = site.state.sent.reduce((sum, one) => sum + one.bytes, 0);
    told.push(`${what} ${Date.now() - began} ms (${Math.round(bytes / 1000)} kB)`);
  };
  await page.goto(site.address, { waitUntil: "commit" });
  await page.locator("this-but .frame img.seen").first().waitFor();
  mark("first picture");
  await page.waitForFunction(() => {
    const pictures = document.querySelector("this-but").shadowRoot.querySelectorAll(".tries li:first-child img");
    return pictures.length === 2 && [...pictures].every((one) => /** @type {HTMLImageElement} */ (one).naturalWidth);
  });
  mark("first example");
  await page.locator("this-but .try").first().click();
  await page.locator("this-but .ranked .frame img.seen").first().waitFor();
  mark("example played");
  await page.waitForFunction(() => document.querySelector("this-but").info, null, { timeout: 300_000 });
  await page.waitForFunction(() => document.querySelector("this-but").hits.length > 15, null, { timeout: 60_000 });
  mark("the model's answer");
  const line = await page.evaluate(() => /** @type {any} */ (navigator).connection?.downlink);
  console.log(`${name}: ${told.join(", ")}; the browser takes the line for ${line} Mbit/s`);
  await context.close();
}
await browser.close();
await site.close();
