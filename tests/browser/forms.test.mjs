// Both forms of a bundle in a real browser with the real engine, for both architectures of BLIP-2, for a CLIP with each way to
// compose, and for FashionBLIP-2, whole and along axes of its rows (small, random weights, several weights files): the page answers as `thisbut query` did when the fixtures were made (form_bundles.rs).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { shape } from "./lib/images.mjs";
import { answer, cause, kept, message, open, ready, say, upload, way } from "./lib/page.mjs";
import { DIST, bare, site } from "./lib/site.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A test on a fresh page over one of the fixtures. */
function on(bundle, name, run, options = {}) {
  test(`${bundle}: ${name}`, { timeout: 180_000 }, async (t) => {
    const here = await site({ bundle });
    here.state.fault = options.fault ?? null;
    const { page, context, problems } = await open(browser, here.address, options);
    try {
      await run(page, here, t);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
      await here.close().catch(() => {});
    }
  });
}

const expected = async (bundle) => JSON.parse(await readFile(new URL(`fixtures/${bundle}/expected.json`, import.meta.url), "utf8"));

/** The page's ranking is the native engine's: the same pictures, in the same order but for ties, with the same scores. */
function same(found, { hits }) {
  assert.equal(found.length, hits.length);
  for (const [rank, [title, score]] of hits.entries()) {
    assert.ok(Math.abs(found[rank].score - score) < 2e-3, `rank ${rank + 1}: ${found[rank].score}, not ${score}`);
    const own = hits.find(([other]) => other === found[rank].title);
    assert.ok(own && Math.abs(own[1] - score) < 4e-3, `rank ${rank + 1}: ${found[rank].title}, not ${title}`);
  }
}

const titled = (item) => item.replace(/^(\w)(\w*)-(\w+)\.png$/, (_, first, rest, colour) => `${first.toUpperCase()}${rest} ${colour}`);
const info = (page) => page.evaluate(() => document.querySelector("this-but").info);
const tile = (page, title) => page.locator("this-but [role=option]").filter({ has: page.locator(".title", { hasText: new RegExp(`^${title}$`) }) });
const files = (here) => here.state.sent.filter(({ path }) => /references\//.test(path));

const FORMS = [
  "eva-gallery", "clip-gallery", "eva-full", "clip-full", "words-full", "words-gallery", "sum-full", "slerp-gallery",
  "context-full", "context-gallery", "fashion-full", "fashion-gallery",
];
for (const bundle of FORMS) {
  on(bundle, "the page ranks as the command line does", async (page, here, t) => {
    await ready(page);
    const { upload: reads, memory } = await info(page);
    assert.equal(reads, bundle.endsWith("full"));
    t.diagnostic(`${(memory / 1e6).toFixed(0)} MB of memory`);
    assert.ok(here.state.sent.filter(({ path }) => /weights\./.test(path)).length > 1, "several weights files");
    assert.equal(files(here).length, 0, "no image's tokens before one is chosen");
    for (const { item, text, hits, upload: own } of await expected(bundle)) {
      await page.evaluate(() => document.querySelector("this-but").restart());
      if (own) await answer(page, () => upload(page, own, "image/png", shape(...own.replace(".png", "").split("-"))));
      if (item) await answer(page, () => tile(page, titled(item)).click());
      const found = text ? await say(page, text) : await page.evaluate(() => document.querySelector("this-but"));
      if (text) same(found.hits, { hits });
      else same(await page.evaluate(() => document.querySelector("this-but").hits.map(({ title, score }) => ({ title, score }))), { hits });
    }
    assert.equal(files(here).length, reads ? 0 : 3, "one file for each image that was chosen");
  });
}

const skip = existsSync(`${DIST}/runtime/webgpu_bg.wasm`) ? false : "no WebGPU module was built";
test("WebGPU gives the command line's answers for a CLIP, however it composes", { timeout: 900_000, skip }, async () => {
  const gpu = await launch({ webgpu: true });
  try {
    for (const bundle of ["words-full", "words-gallery", "sum-full", "slerp-gallery"]) {
      const visit = await site({ bundle });
      const { page, context, problems } = await open(gpu, visit.address, { path: bare(visit.state, 'device="webgpu" timeout="300000"') });
      await ready(page, 300_000);
      assert.equal((await info(page)).device, "webgpu");
      for (const { item, text, hits } of (await expected(bundle)).filter(({ item, text }) => item && text)) {
        await page.evaluate(() => document.querySelector("this-but").restart());
        await answer(page, () => tile(page, titled(item)).click(), 300_000);
        same((await say(page, text, 300_000)).hits, { hits });
      }
      assert.deepEqual(problems, []);
      await context.close();
      await visit.close();
    }
  } finally {
    await gpu.close();
  }
});

on("eva-gallery", "an image of one's own is refused with a sentence", async (page) => {
  await ready(page);
  assert.match(await page.locator("this-but .slot-main").innerText(), /Choose an image below/);
  await page.evaluate(
    (bytes) => {
      const image = new Blob([new Uint8Array(bytes)], { type: "image/png" });
      return document.querySelector("this-but").show(image, "mine.png").catch(() => {});
    },
    [...shape("ring", "green")],
  );
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /cannot read images of your own/);
  await way(page, "Choose another image").click();
  const found = await answer(page, () => page.keyboard.press("Enter"));
  assert.ok(found.reference.title && found.hits.length);
});

on(
  "eva-gallery",
  "an image given before anything is known is refused too",
  async (page) => {
    await page.locator("this-but .error").waitFor({ state: "visible" });
    assert.match(await message(page), /cannot read images of your own/);
    await way(page, "Choose another image").click();
    await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.role === "option");
    assert.ok((await answer(page, () => page.keyboard.press("Enter"))).hits.length);
  },
  {
    fault: (path) =>
      path === "/bare.html"
        ? Buffer.from(
            `<!doctype html><html lang="en"><link rel="icon" href="favicon.svg"><script type="module" src="this-but.js"></script><script type="module" src="give.js"></script><this-but></this-but>`,
          )
        : path === "/give.js"
          ? Buffer.from(`
              await customElements.whenDefined("this-but");
              const bytes = Uint8Array.from(atob("${shape("ring", "green").toString("base64")}"), (c) => c.charCodeAt(0));
              document.querySelector("this-but").show(new Blob([bytes], { type: "image/png" }), "mine.png");`)
          : undefined,
    path: "bare.html",
  },
);

const flip = (body) => {
  const copy = Buffer.from(body);
  copy[copy.length >> 1] ^= 1;
  return copy;
};

on(
  "clip-gallery",
  "a damaged file of an image: a clear message, another image, and a second try",
  async (page, here) => {
    await ready(page);
    await tile(page, "Ring green").click();
    await page.locator("this-but .error").waitFor({ state: "visible" });
    assert.match(await message(page), /data of this image is damaged/);
    assert.match(await cause(page), /references\/r\..*checksum/);
    await way(page, "Choose another image").click();
    await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.role === "option");
    // The rest of the search goes on.
    assert.ok((await say(page, "blue circle")).hits.length);
    await page.evaluate(() => document.querySelector("this-but").restart());
    await tile(page, "Ring green").click();
    await page.locator("this-but .error").waitFor({ state: "visible" });
    here.state.fault = null;
    const found = await answer(page, () => way(page, "Try again").click());
    assert.equal(found.reference.title, "Ring green");
  },
  { fault: (path, body) => (/references\//.test(path) && body ? flip(body) : undefined) },
);

on(
  "eva-gallery",
  "a file of an image that is not there",
  async (page, here) => {
    await ready(page);
    await tile(page, "Cross blue").click();
    await page.locator("this-but .error").waitFor({ state: "visible" });
    assert.match(await message(page), /could not be downloaded/);
    here.state.fault = null;
    assert.ok((await answer(page, () => way(page, "Try again").click())).hits.length);
  },
  { fault: (path) => (/references\//.test(path) ? { status: 404 } : undefined) },
);

test("eva-gallery: images that were chosen once are there without a network", { timeout: 120_000 }, async () => {
  const visit = await site({ bundle: "eva-gallery" });
  const { page, context } = await open(browser, visit.address, { workers: "allow" });
  try {
    await ready(page);
    const first = await answer(page, () => tile(page, "Ring green").click());
    await kept(page);
    await visit.close();
    await page.reload();
    await ready(page);
    // The page's address has kept the search: it comes back by itself.
    await page.waitForFunction(() => document.querySelector("this-but").reference && document.querySelector("this-but").hits.length);
    const restored = await page.evaluate(() => {
      const { hits, reference } = document.querySelector("this-but");
      return { hits, title: reference.title };
    });
    assert.deepEqual(restored, { hits: first.hits, title: "Ring green" });
    await page.evaluate(() => document.querySelector("this-but").restart());
    const again = await answer(page, () => tile(page, "Ring green").click());
    assert.deepEqual(again.hits, first.hits);
    await page.evaluate(() => document.querySelector("this-but").restart());
    await tile(page, "Cross blue").click();
    await page.locator("this-but .error").waitFor({ state: "visible" });
    assert.match(await message(page), /could not be downloaded/);
  } finally {
    await context.close();
    await visit.close().catch(() => {});
  }
});

const digest = (body) => createHash("sha256").update(body).digest("hex");

/** Other bodies in the place of files of the bundle, with an index that promises them; `entry` finds the file in it. */
async function replaced(bundle, entry, change) {
  const folder = new URL(`fixtures/${bundle}/`, import.meta.url);
  const manifest = JSON.parse(await readFile(new URL("bundle.json", folder), "utf8"));
  const file = entry(manifest);
  const body = change(await readFile(new URL(file.path, folder)));
  Object.assign(file, { bytes: body.length, sha256: digest(body) });
  const index = Buffer.from(JSON.stringify(manifest));
  return (path) => (path.endsWith(file.path) ? body : path.endsWith("/bundle.json") ? index : undefined);
}

const refusal = async (page) => {
  await page.locator("this-but .error").waitFor({ state: "visible", timeout: 60_000 });
  return message(page);
};

on(
  "words-full",
  "a damaged list of merges: a clear message, and downloading again mends it",
  async (page, here) => {
    assert.match(await refusal(page), /downloaded file is damaged/);
    assert.match(await cause(page), /vocab\./);
    here.state.fault = null;
    await way(page, "Download again").click();
    await ready(page);
  },
  { fault: (path, body) => (/vocab\./.test(path) && body ? flip(body) : undefined) },
);

const vocabulary = ({ vocab }) => vocab;
const weights = ({ weights }) => weights.at(-1);

/** @type {{what: string, entry: (manifest: any) => any, change: (body: Buffer) => Buffer, said: RegExp}[]} */
const BROKEN = [
  {
    what: "merges that join symbols which nothing made",
    entry: vocabulary,
    change: (body) => Buffer.from(body.toString().split("\n").toReversed().join("\n")),
    said: /merges\.txt: line \d+/,
  },
  { what: "a list of merges that is too short", entry: vocabulary, change: (body) => body.subarray(0, body.length >> 1), said: /merges\.txt/ },
  {
    what: "BERT's words in the place of merges",
    entry: vocabulary,
    change: () => Buffer.from("[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\n"),
    said: /merges\.txt: line 1/,
  },
  { what: "a list of merges that is no text", entry: vocabulary, change: (body) => Buffer.alloc(body.length, 0xff), said: /UTF-8/ },
  {
    what: "weights that are cut short, with an index that says so",
    entry: weights,
    change: (body) => body.subarray(0, body.length - 100),
    said: /weights/,
  },
  { what: "weights whose scales are no numbers", entry: weights, change: notFinite, said: /finite/ },
];

for (const { what, entry, change, said } of BROKEN) {
  const fault = await replaced("words-full", entry, change);
  on(
    "words-full",
    `${what}: refused with a sentence`,
    async (page) => {
      assert.match(await refusal(page), /cannot be read/);
      assert.match(await cause(page), said);
    },
    { fault },
  );
}

/** Every f16 scale of a weights file made infinite. @param {Buffer} body */
function notFinite(body) {
  const copy = Buffer.from(body);
  const start = 8 + Number(copy.readBigUInt64LE(0));
  const header = JSON.parse(copy.subarray(8, start).toString());
  const scales = Object.values(header).filter(({ dtype }) => dtype === "F16");
  for (const { data_offsets: [from, to] } of scales) for (let at = start + from; at < start + to; at += 2) copy.writeUInt16LE(0x7c00, at);
  return copy;
}

on("words-full", "the page says what the model understands, and whose the pictures are, as the bundle does", async (page) => {
  await ready(page);
  const about = page.locator("footer .about");
  await about.waitFor({ state: "visible" });
  assert.equal(await about.innerText(), "The model understands: coloured shapes; a random model, trained on nothing. Pictures: MIT OR Apache-2.0.");
  const { understands, title, licence } = await info(page);
  assert.deepEqual([understands, title, licence], ["coloured shapes; a random model, trained on nothing", "Shapes", "MIT OR Apache-2.0"]);
});
