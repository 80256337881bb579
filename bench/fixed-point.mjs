// How far the page's answers, in fixed point, are from the command line's in f32: the same bundle, pictures and words.
//   THISBUT=target/release/thisbut node bench/fixed-point.mjs BUNDLE PICTURE…        after scripts/test site

import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { launch } from "../tests/browser/lib/browser.mjs";
import { answer, intend, open, ready, say, upload } from "../tests/browser/lib/page.mjs";
import { serve } from "../tests/browser/lib/server.mjs";
import { DIST, bare } from "../tests/browser/lib/site.mjs";

const PATIENCE = 580_000;
const FIRST = 10;
const WORDS = "but in red";
const [bundle, ...pictures] = process.argv.slice(2);
const types = { png: "image/png", webp: "image/webp", jpg: "image/jpeg", jpeg: "image/jpeg" };

const native = (...asked) => JSON.parse(execFileSync(process.env.THISBUT ?? "thisbut", ["query", "--bundle", bundle, "--top", String(FIRST), "--json", ...asked], { encoding: "utf8" }));
const here = await serve({ mounts: [["/bundle/", resolve(bundle)], ["/", DIST]], quality: 1 });
const browser = await launch();
const { page } = await open(browser, here.address, { path: bare(here.state, `device="cpu" timeout="${PATIENCE}"`) });
await intend(page);
await ready(page, PATIENCE);

const seen = { rankings: 0, first: 0, alike: 0, of: 0, scores: 0 };
/** Counts a page's ranking against the command line's. */
function count({ hits }, expected) {
  const found = new Map(hits.slice(0, FIRST).map(({ title, score }) => [title, score]));
  seen.rankings += 1;
  seen.first += Number(hits[0].title === expected[0].title);
  seen.of += expected.length;
  for (const { title, score } of expected.filter(({ title }) => found.has(title))) {
    seen.alike += 1;
    seen.scores = Math.max(seen.scores, Math.abs(found.get(title) - score));
  }
}
for (const picture of pictures) {
  const type = types[picture.split(".").at(-1)];
  await page.evaluate(() => document.querySelector("this-but").restart());
  const bytes = await readFile(picture);
  count(await answer(page, () => upload(page, basename(picture), type, bytes), PATIENCE), native("--image", picture));
  count(await say(page, WORDS, PATIENCE), native("--image", picture, "--text", WORDS));
}
console.log(`${pictures.length} pictures, each without words and with "${WORDS}": the same first hit ${seen.first} times of ${seen.rankings}, ${seen.alike} of ${seen.of} of the first ${FIRST} hits, scores at most ${seen.scores.toFixed(4)} apart`);
await browser.close();
await here.close();
