// The whole path in a real browser with the real engine: the tiny test bundle where the ranking's meaning does not
// matter (devices, faults, offline).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { shape } from "./lib/images.mjs";
import { answer, cause, kept, message, open, ready, say, titles, upload, way } from "./lib/page.mjs";
import { bare, site } from "./lib/site.mjs";

let browser;
let here;
before(async () => {
  [browser, here] = await Promise.all([launch(), site({ tiny: true })]);
});
after(async () => {
  await browser?.close();
  await here?.close();
});

/** A test on a fresh page; the server is without faults before and after. */
function on(name, options, run) {
  test(name, { timeout: 180_000 }, async () => {
    here.state.fault = options.fault ?? null;
    here.state.down = false;
    here.state.sent.length = 0;
    const { page, context, problems } = await open(browser, here.address, options);
    try {
      await run(page, context);
      assert.deepEqual(problems, []);
    } finally {
      here.state.fault = null;
      here.state.down = false;
      await context.close();
    }
  });
}

const failed = async (page) => {
  await page.locator("this-but .error").waitFor({ state: "visible" });
  return message(page);
};
const spoil = (pattern, change) => (path, body) => (pattern.test(path) && body ? change(body) : undefined);
const flip = (body) => {
  const copy = Buffer.from(body);
  copy[copy.length >> 1] ^= 1;
  return copy;
};
const json = (edit) => (body) => {
  const value = JSON.parse(body);
  edit(value);
  return Buffer.from(JSON.stringify(value));
};

on("an uploaded picture of a gallery image finds that image", {}, async (page) => {
  await ready(page);
  const found = await answer(page, () => upload(page, "mine.png", "image/png", shape("ring", "green", 64)));
  assert.equal(found.hits.length, 24);
  assert.ok(found.hits.slice(0, 3).some(({ title }) => title === "green ring"), found.hits.slice(0, 3).map(({ title }) => title).join(", "));
  const scores = found.hits.map(({ score }) => score);
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a));
  assert.ok(scores.every((score) => score <= 1.001 && score >= -1.001));
});

on("words alone, an image with words, and the image of a result", {}, async (page) => {
  await ready(page);
  const words = await say(page, "blue circle");
  assert.equal(words.reference, null);
  const second = await answer(page, () => page.locator("this-but [role=option]").nth(3).click());
  assert.equal(second.reference.title, words.hits[3].title);
  assert.ok(second.hits.every(({ index }) => index !== second.reference.item));
  const third = await say(page, "but red");
  assert.notDeepEqual(third.hits.map(({ index }) => index), second.hits.map(({ index }) => index));
  assert.deepEqual((await titles(page)).slice(0, 5), third.hits.slice(0, 5).map(({ title }) => title));
});

on("10,000 characters, emoji and right-to-left text are answered", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  for (const words of ["red ".repeat(2500), "👩🏽‍🚒🔥", "أحمر وأكبر", "\u200f\u0000\uFFFD%s<img>"]) {
    const found = await say(page, words);
    assert.equal(found.hits.length, 24);
  }
});

on("words beyond the model's tokens are named", {}, async (page) => {
  await ready(page);
  await say(page, "blue circle");
  assert.equal(await page.locator("this-but .note").innerText(), "");
  await say(page, "red ".repeat(60));
  assert.match(await page.locator("this-but .note").innerText(), /first words fit/);
});

on("progress counts up to one total", {}, async (page) => {
  const seen = await page.evaluate(async () => {
    const fresh = document.createElement("this-but");
    fresh.setAttribute("preload", "");
    fresh.setAttribute("bundle", "bundle/?again");
    const seen = [];
    fresh.addEventListener("progress", ({ detail }) => seen.push(detail));
    document.querySelector("this-but").remove();
    fresh.setAttribute("bundle", "bundle/");
    document.body.append(fresh);
    await new Promise((done) => fresh.addEventListener("ready", done));
    return seen;
  });
  const loaded = seen.map((one) => one.loaded);
  assert.deepEqual(loaded, [...loaded].sort((a, b) => a - b), "never goes back");
  const last = seen.at(-1);
  assert.equal(last.loaded, last.total);
  assert.equal(new Set(seen.map(({ total }) => total).filter(Boolean)).size, 1, "one total");
});

on("damaged weights: a clear message, and downloading again mends it", { fault: spoil(/weights\./, flip) }, async (page) => {
  assert.match(await failed(page), /downloaded file is damaged/);
  here.state.fault = null;
  await way(page, "Download again").click();
  await ready(page);
  assert.ok((await say(page, "blue")).hits.length);
});

on("a gallery chunk that is cut short", { fault: spoil(/tokens\./, (body) => body.subarray(0, body.length - 100)) }, async (page) => {
  assert.match(await failed(page), /downloaded file is damaged/);
  assert.match(await cause(page), /tokens\..*bytes/);
  here.state.fault = null;
  await way(page, "Download again").click();
  await ready(page);
});

/** As long as its entry says, of the hash that its entry says, and no chunk. */
const NO_CHUNK = Buffer.alloc(1232);

on("a chunk with the right hash that is no chunk", {
  fault: (path, body) => {
    if (/tokens\./.test(path)) return NO_CHUNK;
    if (/bundle\.json$/.test(path)) {
      return json(({ gallery }) => {
        for (const chunk of gallery.chunks) {
          chunk.bytes = NO_CHUNK.length;
          chunk.sha256 = createHash("sha256").update(NO_CHUNK).digest("hex");
        }
      })(body);
    }
  },
}, async (page) => {
  // Not "damaged", which would mean that its hash was wrong.
  assert.match(await failed(page), /cannot be read/);
  assert.match(await cause(page), /TBUTGAL1/);
});

on("a bundle of another version", { fault: spoil(/bundle\.json$/, json((bundle) => (bundle.version = 9))) }, async (page) => {
  assert.match(await failed(page), /different versions/);
  assert.ok(await way(page, "Reload the page").isVisible());
  here.state.fault = null;
  await way(page, "Download again").click();
  await ready(page);
});

on("an index that is no JSON", { fault: spoil(/bundle\.json$/, () => Buffer.from("<html>sorry</html>")) }, async (page) => {
  assert.match(await failed(page), /cannot be read/);
});

// Each is told from bundle.json alone: nothing else of the bundle is asked for.
/** @type {[string, (bundle: any) => void, RegExp][]} */
const ABSURD = [
  ["layers that no model has", (bundle) => (bundle.config.qformer.layers = 2 ** 20), /qformer\.layers/],
  ["an encoder of a width that no memory holds", (bundle) => (bundle.config.image_encoder.width = 2 ** 31), /image_encoder\.width/],
  ["weights that the model has no place for", (bundle) => (bundle.weights[0].bytes = 2 ** 31), /too many for a model/],
  ["a gallery for another model", (bundle) => (bundle.config.projection = 32), /gallery/],
  ["a gallery that no page can address", (bundle) => vast(bundle), /more than a page can address/],
];

/** A gallery of 5 GB in chunks of the right sizes. */
function vast({ gallery }) {
  const count = 2 ** 20;
  const bytes = 32 + count * gallery.tokens * (gallery.width + 4);
  const chunk = (at) => ({ ...gallery.chunks[0], path: `gallery/vast.${at}.bin`, first: at * count, count, bytes });
  gallery.chunks = Array.from({ length: Math.ceil((5 * 2 ** 30) / bytes) }, (_, at) => chunk(at));
  gallery.count = gallery.chunks.length * count;
  gallery.metadata = [{ ...gallery.metadata[0], count: gallery.count }];
}

for (const [name, edit, named] of ABSURD) {
  on(`${name}: refused before anything is fetched`, { fault: spoil(/bundle\.json$/, json(edit)) }, async (page) => {
    assert.match(await failed(page), /cannot be read/);
    assert.match(await cause(page), named);
    assert.deepEqual(here.state.sent.filter(({ path }) => path.startsWith("/bundle/") && !/bundle\.json$/.test(path)), []);
  });
}

on("an index without an end", { fault: spoil(/bundle\.json$/, (body) => Buffer.concat([body, Buffer.alloc(6 << 20, " ")])) }, async (page) => {
  assert.match(await failed(page), /cannot be read/);
  assert.match(await cause(page), /more than \d+ bytes/);
});

on("a wrong answer in the self-test refuses the device", {
  fault: spoil(/bundle\.json$/, json(({ self_test }) => (self_test.expected[0][1] += 0.5))),
}, async (page) => {
  await failed(page);
  assert.match(await cause(page), /self-test/);
});

on("no bundle at all", { fault: (path) => (path.startsWith("/bundle/") ? { status: 404 } : undefined) }, async (page) => {
  assert.match(await failed(page), /not where this page expects it/);
  here.state.fault = null;
  await way(page, "Try again").click();
  await ready(page);
});

on("a server that fails", { fault: (path) => (/weights\./.test(path) ? { status: 503 } : undefined) }, async (page) => {
  assert.match(await failed(page), /could not be downloaded/);
  here.state.fault = null;
  await way(page, "Try again").click();
  await ready(page);
});

on("a missing module", { fault: (path) => (/_bg\.wasm/.test(path) ? { status: 404 } : undefined) }, async (page) => {
  assert.match(await failed(page), /part of the search is missing/);
  here.state.fault = null;
  await way(page, "Download again").click();
  await ready(page);
});

test("the second visit works without a network", { timeout: 120_000 }, async () => {
  const visit = await site({ tiny: true });
  const { page, context, problems } = await open(browser, visit.address, { workers: "allow" });
  try {
    await ready(page);
    const before = await say(page, "blue ring");
    await kept(page);
    await visit.close();
    await page.reload();
    await ready(page);
    // The page's address has kept the search.
    await page.waitForFunction(() => document.querySelector("this-but").text === "blue ring" && document.querySelector("this-but").hits.length);
    assert.deepEqual(await page.evaluate(() => document.querySelector("this-but").hits), before.hits);
    const picked = await answer(page, () => page.locator("this-but [role=option]").first().click());
    assert.ok(picked.hits.length, "pictures are there too");
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await visit.close().catch(() => {});
  }
});

test("WebGPU gives the CPU's ranking", { timeout: 600_000 }, async () => {
  const gpu = await launch({ webgpu: true });
  const answers = {};
  try {
    for (const device of ["cpu", "webgpu"]) {
      const visit = await site({ tiny: true });
      const path = bare(visit.state, `device="${device}" timeout="300000"`);
      const { page, context, problems } = await open(gpu, visit.address, { path });
      await ready(page, 300_000);
      assert.equal(await page.evaluate(() => document.querySelector("this-but").info.device), device);
      const similar = await answer(page, () => upload(page, "mine.png", "image/png", shape("cross", "yellow", 50)), 300_000);
      const composed = await say(page, "but a blue circle", 300_000);
      const words = await answer(page, () => page.locator("this-but .remove").click(), 300_000);
      answers[device] = [similar, composed, words].map(({ hits }) => hits);
      assert.deepEqual(problems, []);
      await context.close();
      await visit.close();
    }
  } finally {
    await gpu.close();
  }
  for (const [at, hits] of answers.cpu.entries()) {
    const other = answers.webgpu[at];
    assert.deepEqual(other.map(({ index }) => index), hits.map(({ index }) => index));
    const worst = Math.max(...hits.map(({ score }, rank) => Math.abs(score - other[rank].score)));
    assert.ok(worst < 1e-3, `scores differ by ${worst}`);
  }
});
