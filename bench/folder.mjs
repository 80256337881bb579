// Photographs of a folder read in the page: images a second, seconds to the first answer, and the memory of all renderers.
//   node bench/folder.mjs FOLDER [COUNT]      after scripts/stage-site dist; Linux, for `ps`

import { execSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { launch } from "../tests/browser/lib/browser.mjs";
import { intend, open, ready } from "../tests/browser/lib/page.mjs";
import { site } from "../tests/browser/lib/site.mjs";

const [folder, count = "1000"] = process.argv.slice(2);
if (!folder) throw new Error("node bench/folder.mjs FOLDER [COUNT]");
const photos = readdirSync(folder, { recursive: true }).map(String).filter((name) => /\.jpe?g$/i.test(name)).slice(0, Number(count)).map((name) => join(folder, name));
const [browser, here] = await Promise.all([launch(), site({})]);
/** Megabytes of this browser's renderers. */
const memory = () => execSync("ps -eo rss,args").toString().split("\n").filter((line) => line.includes("--type=renderer")).reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[0]) / 1024, 0);
const { page } = await open(browser, here.address);
await intend(page);
await ready(page);
const panel = page.locator("this-but .own");
await page.locator("this-but .folder-open").click();
await page.waitForTimeout(8000);
const [before, began] = [memory(), Date.now()];
let peak = before;
const timer = setInterval(() => (peak = Math.max(peak, memory())), 500);
await panel.locator("input[data-own=files]").setInputFiles(photos);
await panel.locator(".strip button").first().click({ timeout: 120_000 });
await page.waitForFunction(() => document.querySelector("this-but").hits.some((hit) => hit.own), null, { timeout: 120_000 });
const first = (Date.now() - began) / 1000;
await panel.getByText(/pictures of yours are searched/).waitFor({ timeout: 3_600_000 });
const seconds = (Date.now() - began) / 1000;
clearInterval(timer);
const cores = await page.evaluate(() => navigator.hardwareConcurrency);
console.log(`${photos.length} photographs, ${cores} cores: ${(photos.length / seconds).toFixed(1)} a second, first answer after ${first.toFixed(1)} s, ${Math.round(before)} MB before, ${Math.round(peak)} MB at most`);
await browser.close();
await here.close();
