// The README's picture of the page, from the built site: node scripts/page-shot.mjs docs/page.png

import { launch } from "../tests/browser/lib/browser.mjs";
import { answer, fixture, intend, open, ready, say, upload } from "../tests/browser/lib/page.mjs";
import { site } from "../tests/browser/lib/site.mjs";

const here = await site();
const browser = await launch();
const { page } = await open(browser, here.address, { viewport: { width: 1280, height: 860 } });
await intend(page);
await ready(page, 180_000);
await answer(page, async () => upload(page, "judge.jpg", "image/jpeg", await fixture("judge.jpg")));
await say(page, "but a man");
await page.waitForTimeout(1500);
await page.screenshot({ path: process.argv[2] ?? "docs/page.png" });
await browser.close();
await here.close();
