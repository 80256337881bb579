// What a bundle takes in the built site, in headless Chromium on the CPU: bytes fetched, memory, and times.
//   node bench/bundle-times.mjs BUNDLE        after scripts/test site; a bundle of any size: the example bench_bundle

import { resolve } from "node:path";
import { launch } from "../tests/browser/lib/browser.mjs";
import { shape } from "../tests/browser/lib/images.mjs";
import { answer, open, ready, say, upload } from "../tests/browser/lib/page.mjs";
import { serve } from "../tests/browser/lib/server.mjs";
import { DIST, bare } from "../tests/browser/lib/site.mjs";

const PATIENCE = 580_000;
const here = await serve({ mounts: [["/bundle/", resolve(process.argv[2])], ["/", DIST]], quality: 1 });
const browser = await launch();
const { page } = await open(browser, here.address, { path: bare(here.state, `device="cpu" timeout="${PATIENCE}"`) });
await ready(page, PATIENCE);
const info = await page.evaluate(() => document.querySelector("this-but").info);
const visit = here.state.sent.reduce((sum, { bytes }) => sum + bytes, 0);
console.log(`${info.model}: ${(visit / 1e6).toFixed(1)} MB, ready after ${(info.timings.total / 1e3).toFixed(1)} s`);
for (const [round, colour] of ["green", "red", "blue"].entries()) {
  const pick = info.upload
    ? () => upload(page, "mine.png", "image/png", shape("ring", colour))
    : () => page.locator("this-but [role=option]").nth(round + 1).click();
  const picture = await answer(page, pick, PATIENCE);
  const words = await say(page, `but with a red hat ${round}`, PATIENCE);
  const ms = ({ timings }) => `${Math.round(timings.total)} ms`;
  console.log(`picture to results ${ms(picture)}, new words to results ${ms(words)}`);
}
console.log(`${(info.memory / 1e6).toFixed(0)} MB of memory when ready`);
await browser.close();
await here.close();
