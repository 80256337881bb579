// Downloads: broken, damaged, missing, silent, shared between tabs, counted. The real loader over a stand-in for the module.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { answer, cause, kept, message, open, ready, titles, until, way } from "./lib/page.mjs";
import { loaderSite } from "./mock/runtime.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Loading gives up on a silent server after 15 s; a test need not wait that long. */
const impatient = (path, body) => (/loader\/(steady|program|index)\.js$/.test(path) && body ? Buffer.from(String(body).replaceAll("15_000", "1500").replaceAll("PATIENCE = 4000", "PATIENCE = 1000")) : undefined);

/** A test with a site of its own; `fault` may be changed while it runs. */
function on(name, { fault = null, workers = "block", how = {}, start = true, ...options }, run) {
  test(name, { timeout: 300_000 }, async () => {
    const site = await loaderSite(/** @type {any} */ (how));
    const faults = { now: fault };
    site.state.fault = (path, body, request) => faults.now?.(path, body, request) ?? impatient(path, body);
    const { page, context, problems } = await open(browser, site.address, { workers: /** @type {any} */ (workers), ...(start ? {} : { path: "about:blank" }), ...options });
    try {
      await run({ page, context, problems, site, faults });
      assert.deepEqual(problems.filter((line) => !/this-but: a file/.test(line)), []);
    } finally {
      await context.close();
      await site.close();
    }
  });
}

const failed = async (page) => {
  await page.locator("this-but .error").waitFor({ state: "visible", timeout: 60_000 });
  return message(page);
};
const sentOf = (site, pattern) => site.state.sent.filter(({ path }) => pattern.test(path));
const sum = (all) => all.reduce((bytes, one) => bytes + one.bytes, 0);
/** Events of the next load of an element that is made now. */
const watched = (page) =>
  page.evaluate(async () => {
    const seen = [];
    const fresh = document.createElement("this-but");
    fresh.addEventListener("progress", (/** @type {any} */ { detail }) => seen.push(detail));
    fresh.setAttribute("preload", "");
    document.body.append(fresh);
    await new Promise((done) => fresh.addEventListener("ready", done));
    return seen;
  });

on("progress counts transferred bytes, and says on the second visit that everything is there", { path: "page.css", how: { binary: 800_000 } }, async ({ page, site }) => {
  await page.evaluate((address) => import(`${address}this-but.js`), site.address);
  const seen = await watched(page);
  const bytes = sum(sentOf(site, /\.wasm|bundle\/(weights|gallery|vocab)/));
  const last = seen.at(-1);
  assert.ok(bytes < 2_500_000, "the files are compressed on their way");
  assert.ok(Math.abs(last.total - bytes) < bytes * 0.01, `${last.total} counted, ${bytes} sent`);
  assert.equal(last.loaded, last.total);
  const totals = new Set(seen.map(({ total }) => total).filter(Boolean));
  assert.equal(totals.size, 1, "one total");
  const loaded = seen.map((one) => one.loaded);
  assert.deepEqual(loaded, [...loaded].sort((a, b) => a - b), "never goes back");
  await page.reload();
  site.state.sent.length = 0;
  await page.evaluate((address) => import(`${address}this-but.js`), site.address);
  const again = await watched(page);
  assert.ok(again.some(({ stored }) => stored), "stored");
  assert.equal(sum(sentOf(site, /weights/)), 0);
});

on("a download that breaks goes on where it stopped", { fault: (path, body, request) => (/weights/.test(path) && !request.headers.range ? { cut: 1_000_000 } : undefined) }, async ({ page, site }) => {
  await ready(page);
  const asked = sentOf(site, /weights/);
  assert.ok(asked.length > 1 && asked.slice(1).every(({ from }) => from > 100_000), JSON.stringify(asked));
});

on("a server that stops in the middle is asked for the rest", { fault: (path, body, request) => (/weights/.test(path) && !request.headers.range ? { cut: 1_000_000, still: true } : undefined) }, async ({ page, site }) => {
  await ready(page);
  assert.ok(sentOf(site, /weights/).at(-1).from > 100_000);
});

on("a reload goes on where the download was", { how: { weights: 5_000_000 }, fault: (path) => (/weights/.test(path) ? { pace: 1_000_000 } : undefined) }, async ({ page, site, faults }) => {
  await until(page, async () => (await (await caches.open("thisbut-bundle-v1")).keys()).some(({ url }) => /thisbut-part=[1-9]/.test(url)));
  site.state.sent.length = 0;
  faults.now = null;
  await page.reload();
  await ready(page);
  const [rest] = sentOf(site, /weights/);
  assert.ok(rest.from >= 1 << 20, JSON.stringify(sentOf(site, /weights/)));
  const parts = await page.evaluate(async () => (await (await caches.open("thisbut-bundle-v1")).keys()).filter(({ url }) => url.includes("thisbut-part")).length);
  assert.equal(parts, 0, "the pieces are let go of");
});

on("two tabs download once", { fault: (path) => (/weights/.test(path) ? { pace: 800_000 } : undefined) }, async ({ page, context, site }) => {
  await page.waitForTimeout(500);
  const other = await context.newPage();
  await other.goto(site.address);
  await Promise.all([ready(page), ready(other)]);
  assert.equal(sentOf(site, /weights/).length, 1);
});

const flip = (body) => {
  const copy = Buffer.from(body);
  copy[copy.length >> 1] ^= 1;
  return copy;
};
let count = 0;
on("one damaged copy of the module is replaced in silence", { fault: (path, body, request) => (/\.wasm/.test(path) && request.method === "GET" && body && !count++ ? flip(body) : undefined) }, async ({ page }) => {
  await ready(page);
  assert.equal(count, 2);
});

for (const [what, pattern] of /** @type {[string, RegExp][]} */ ([["module", /\.wasm/], ["glue", /cpu\.js/]])) {
  on(`a damaged ${what} is named, and downloading again mends it`, { fault: (path, body) => (pattern.test(path) && body ? flip(body) : undefined) }, async ({ page, faults }) => {
    assert.match(await failed(page), /downloaded file is damaged/);
    assert.match(await cause(page), /SHA-256/);
    faults.now = null;
    await way(page, "Download again").click();
    await ready(page);
  });

  on(`a missing ${what} is named`, { fault: (path) => (pattern.test(path) ? { status: 404 } : undefined) }, async ({ page, faults }) => {
    assert.match(await failed(page), /part of the search is missing/);
    faults.now = null;
    await way(page, "Download again").click();
    await ready(page);
  });

  on(`a web page in place of the ${what} is named`, { fault: (path) => (pattern.test(path) ? { page: true } : undefined) }, async ({ page }) => {
    assert.match(await failed(page), /answers with a web page/);
  });
}

on("a missing part of the loader is named", { fault: (path) => (/loader\/meter\.js/.test(path) ? { status: 404 } : undefined) }, async ({ page }) => {
  assert.match(await failed(page), /part of the search is missing/);
});

on("a missing part of the element is named", { fault: (path) => (/element\/slot\.js/.test(path) ? { status: 404 } : undefined) }, async ({ page }) => {
  await page.locator("this-but p[role=alert]").waitFor();
  assert.match(await page.locator("this-but p[role=alert]").innerText(), /part of the search is missing/);
});

on("a browser without SIMD is told so", { start: false }, async ({ page, site }) => {
  await page.addInitScript(() => (WebAssembly.validate = () => false));
  await page.goto(site.address);
  assert.match(await failed(page), /too old/);
});

on("a server that accepts and never answers does not keep the page from what is stored", { workers: "allow" }, async ({ page, faults }) => {
  await ready(page);
  await kept(page);
  faults.now = () => ({ hang: true });
  const began = Date.now();
  await page.reload({ timeout: 60_000 });
  await ready(page, 60_000);
  assert.ok(Date.now() - began < 40_000, `${Date.now() - began} ms`);
  assert.ok((await titles(page)).length);
});

on("offline, pictures that are not there leave their titles, and a pick says what is wrong", { workers: "allow" }, async ({ page, site }) => {
  await ready(page);
  await kept(page);
  await page.evaluate(() => caches.delete("thisbut-pictures-v1"));
  await site.close();
  await page.reload();
  await ready(page);
  await page.locator("this-but .frame.gone .name").first().waitFor();
  await page.locator("this-but [role=option]").first().click();
  assert.match(await failed(page), /picture is not on this device/);
  assert.ok(await page.locator("this-but [role=option]").first().isVisible());
});

on("offline, all pictures are there once the visitor has kept them", { workers: "allow" }, async ({ page, site }) => {
  await ready(page);
  await kept(page);
  await page.locator(".offline").click();
  await page.locator(".offline", { hasText: "All pictures are on this device" }).waitFor();
  await site.close();
  await page.reload();
  await ready(page);
  await page.locator("this-but [role=option]").first().waitFor();
  assert.ok((await answer(page, () => page.locator("this-but [role=option]").nth(9).click())).hits.length);
  assert.equal(await page.locator("this-but .frame.gone").count(), 0);
});

on("a strict content policy with Trusted Types: allowed it works, else it says so", { start: false }, async ({ page, site, problems }) => {
  const html = (policies) =>
    Buffer.from(`<!doctype html><html lang="en"><meta http-equiv="content-security-policy" content="require-trusted-types-for 'script'; trusted-types ${policies}"><script type="module" src="this-but.js"></script><this-but></this-but>`);
  const pages = { "/good.html": html("thisbut"), "/bad.html": html("other") };
  const before = site.state.fault;
  site.state.fault = (path, body, request) => pages[path] ?? before(path, body, request);
  await page.goto(`${site.address}good.html`);
  await ready(page);
  await page.goto(`${site.address}bad.html`);
  assert.match(await failed(page), /security rules/);
  assert.match(await cause(page), /thisbut/);
  assert.ok(problems.splice(0).every((line) => /trusted|policy/i.test(line)));
});

on("nothing jumps while the element comes", { fault: (path) => (/element\/element\.js/.test(path) ? { pace: 20_000 } : /weights/.test(path) ? { pace: 3_000_000 } : undefined) }, async ({ page }) => {
  for (const viewport of [{ width: 1280, height: 860 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(viewport);
    await page.addInitScript(() => {
      /** @type {any} */ (window).shift = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((/** @type {any} */ entry) => (/** @type {any} */ (window).shift += entry.hadRecentInput ? 0 : entry.value))).observe({ type: "layout-shift", buffered: true });
    });
    await page.evaluate(() => caches.delete("thisbut-bundle-v1"));
    await page.reload();
    await ready(page);
    await page.locator("this-but [role=option]").first().waitFor();
    await page.waitForTimeout(1000);
    const shift = await page.evaluate(() => /** @type {any} */ (window).shift);
    assert.ok(shift <= 0.05, `${viewport.width}: layout shift ${shift.toFixed(3)}`);
  }
});
