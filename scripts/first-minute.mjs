// How long a first visit takes on a slow and on a fast line, in headless Chromium that holds back the network:
//   node scripts/first-minute.mjs [SITE]                  default: dist/
//   node scripts/first-minute.mjs SITE --opening          only what comes before the model
// Prints, for each line, over HTTP/2 as most hosts serve and over HTTP/1.1: milliseconds until the first picture and the first example
// are seen, until an example has played from its stored answer, and until the model has answered; and the bytes that had come by
// then. `busy`: ms that the page's own thread computed until the example was seen; on an idle machine it is less.

import { existsSync } from "node:fs";
import { launch } from "../tests/browser/lib/browser.mjs";
import { serve } from "../tests/browser/lib/server.mjs";

const LINES = { "1.6 Mbit/s, 150 ms": [1.6, 150], "12 Mbit/s, 40 ms": [12, 40] };
const folder = process.argv[2] ?? "dist";
const opening = process.argv.includes("--opening");
if (!existsSync(`${folder}/runtime/runtime.js`)) throw new Error(`${folder}: no built site; run scripts/stage-site ${folder}`);
const browser = await launch();

/**
 * One first visit.
 * @param {Awaited<ReturnType<typeof serve>>} site
 * @param {number[]} line megabits a second, ms of latency
 * @returns {Promise<string>}
 */
async function visit(site, [megabits, latency]) {
  site.state.sent.length = 0;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, serviceWorkers: "block", ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Performance.enable");
  const throughput = (megabits * 1e6) / 8;
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: throughput, uploadThroughput: throughput });
  const began = Date.now();
  const told = [];
  const mark = (/** @type {string} */ what) => {
    const bytes = site.state.sent.reduce((sum, one) => sum + one.bytes, 0);
    told.push(`${what} ${Date.now() - began} ms (${Math.round(bytes / 1000)} kB)`);
  };
  await page.goto(site.address, { waitUntil: "commit" });
  await page.locator("this-but .frame img.seen, this-but .try img").first().waitFor();
  await page.waitForFunction(() => {
    const pictures = document.querySelector("this-but").shadowRoot.querySelectorAll(".tries li:first-child img");
    return pictures.length === 2 && [...pictures].every((one) => /** @type {HTMLImageElement} */ (one).naturalWidth);
  });
  mark("first example");
  const { metrics } = await cdp.send("Performance.getMetrics");
  const busy = metrics.find((/** @type {{name: string}} */ { name }) => name === "TaskDuration")?.value ?? 0;
  await page.locator("this-but .frame img.seen").first().waitFor();
  mark("first picture of the gallery");
  await page.locator("this-but .try").first().click();
  await page.locator("this-but .ranked .frame img.seen").first().waitFor();
  mark("example played");
  if (!opening) {
    await page.waitForFunction(() => document.querySelector("this-but").info, null, { timeout: 300_000 });
    await page.waitForFunction(() => document.querySelector("this-but").hits.length > 15, null, { timeout: 60_000 });
    mark("the model's answer");
  }
  const speed = await page.evaluate(() => /** @type {any} */ (navigator).connection?.downlink);
  await context.close();
  return `${told.join(", ")}; busy ${Math.round(busy * 1000)} ms; the browser takes the line for ${speed} Mbit/s`;
}

for (const http2 of [true, false]) {
  const site = await serve({ mounts: [["/", folder]], quality: 9, http2 });
  // The server compresses each file once, the browser starts its processes: neither is a visitor's wait.
  await visit(site, [1000, 0]);
  for (const [name, line] of Object.entries(LINES)) console.log(`HTTP/${http2 ? "2" : "1.1"}, ${name}: ${await visit(site, line)}`);
  await site.close();
}
await browser.close();
