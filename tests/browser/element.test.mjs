// The element and the page, in a real browser, over a mock engine: everything that needs no model.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { huge, odd, shape } from "./lib/images.mjs";
import { answer, fixture, focused, inMode, message, open, ready, say, titles, upload, way } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on, here } = suite();

/** Runs a test on its own page and fails if the page complained. */

const step = (page) => page.locator("this-but .step");
on("an image, words, a result as the next image, and back", {}, async (page) => {
  await ready(page);
  const similar = await answer(page, () => fixture("judge.jpg").then((file) => upload(page, "judge.jpg", "image/jpeg", file)));
  assert.equal(similar.text, "");
  assert.equal(similar.hits[0].title, "red circle");
  const blue = await say(page, "but blue square");
  assert.equal(blue.reference.title, "judge");
  assert.ok(blue.hits.slice(0, 3).some(({ title }) => title === "blue square"));
  assert.ok(await page.locator("this-but .trail").isHidden());

  const second = await answer(page, () => page.locator("this-but [role=option]", { hasText: "blue square" }).click());
  assert.equal(second.reference.title, "blue square");
  assert.ok(second.hits.every(({ title }) => title !== "blue square"), "the reference itself is not a result");
  assert.equal(await step(page).count(), 2);
  assert.equal(await page.inputValue("this-but input[type=text]"), "");

  await step(page).first().click();
  assert.equal(await page.inputValue("this-but input[type=text]"), "but blue square");
  assert.equal((await titles(page))[0], blue.hits[0].title);
  assert.equal(await step(page).first().getAttribute("aria-current"), "step");
});

on("words alone search too, and no words ask for similar images", {}, async (page) => {
  await ready(page);
  const found = await say(page, "green triangle");
  assert.equal(found.reference, null);
  assert.equal(found.hits[0].title, "green triangle");
});

on("drop and paste bring an image; a drop without one says so", {}, async (page) => {
  await ready(page);
  const give = (kind) =>
    page.evaluate(
      async ([event, bytes]) => {
        const data = new DataTransfer();
        if (bytes) data.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
        const target = event === "paste" ? document : document.querySelector("this-but");
        const init = { bubbles: true, composed: true, cancelable: true };
        target.dispatchEvent(event === "paste" ? new ClipboardEvent("paste", { ...init, clipboardData: data }) : new DragEvent(event, { ...init, dataTransfer: data }));
      },
      kind,
    );
  const file = [...shape("ring", "blue")];
  const dropped = await answer(page, () => give(["drop", file]));
  assert.equal(dropped.reference.title, "given");
  const pasted = await answer(page, () => give(["paste", file]));
  assert.equal(pasted.reference.title, "given");
});

on("unusual images work", {}, async (page) => {
  await ready(page);
  const files = { ...odd, CMYK: () => fixture("cmyk.jpg"), "turned by EXIF": () => fixture("turned.jpg") };
  for (const [name, make] of Object.entries(files)) {
    const found = await answer(page, async () => upload(page, `${name}.png`, "image/png", await make()));
    assert.ok(found.hits.length, name);
    assert.ok(await page.locator("this-but .error").isHidden(), name);
  }
});

on("what is not an image, or too large, gets one sentence and a way on", {}, async (page) => {
  await ready(page);
  /** @type {[string, string, Buffer, RegExp][]} */
  const bad = [
    ["empty.png", "image/png", Buffer.alloc(0), /empty/],
    ["notes.txt", "text/plain", Buffer.from("hello"), /not an image/],
    ["broken.png", "image/png", Buffer.from("\x89PNG\r\n\x1a\nnonsense and more nonsense", "latin1"), /cannot be opened/],
    ["cut.jpg", "image/jpeg", (await fixture("judge.jpg")).subarray(0, 400), /cannot be opened/],
    ["huge.png", "image/png", huge(), /100 megapixels; the limit is 80/],
  ];
  for (const [name, type, body, expected] of bad) {
    await upload(page, name, type, body);
    await page.locator("this-but .error").waitFor({ state: "visible" });
    assert.match(await message(page), expected, name);
    assert.ok(await way(page, "Choose another image").isVisible(), name);
    await way(page, "Dismiss").click();
  }
  assert.ok((await say(page, "red")).hits.length, "the page goes on");
});

on("10,000 characters are cut and the page says so; any script is fine", {}, async (page) => {
  await ready(page);
  const long = await say(page, "blue ".repeat(2000));
  assert.ok(long.text.length <= 400);
  assert.match(await page.locator("this-but .note").innerText(), /first 400 characters/);
  for (const words of ["👩🏽‍🚒 🔥", "קטן יותר", "أصغر", "​", "<b>x</b>"]) assert.equal((await say(page, words)).text, words.trim());
  assert.equal(await page.locator("this-but .note").innerText(), "");
});

on("a late answer never replaces a newer one", {}, async (page) => {
  await ready(page);
  await page.fill("this-but input[type=text]", "green slowly");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(120);
  await page.fill("this-but input[type=text]", "blue square");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(1400);
  assert.equal((await titles(page))[0], "blue square");
});

on("a worker that dies is replaced and the question answered", {}, async (page) => {
  await ready(page);
  const found = await say(page, "blue square crash");
  assert.equal(found.hits[0].title, "blue square");
});

on("an engine that refuses shows why and goes on", {}, async (page) => {
  await ready(page);
  await page.fill("this-but input[type=text]", "refuse");
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /cannot be answered/);
  assert.equal((await say(page, "red ring")).hits[0].title, "red ring");
  assert.ok(await page.locator("this-but .error").isHidden());
});

on("an engine that never starts is given up on, and can be tried again", {}, async (page) => {
  await inMode(page, "silent", 'timeout="700"');
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /did not answer in time/);
  assert.ok(await way(page, "Try again").isVisible());
});

on("without an image encoder the gallery is offered, and nothing else", {}, async (page) => {
  await inMode(page, "gallery");
  await ready(page);
  const slot = page.locator("this-but .slot-main");
  assert.match(await slot.innerText(), /Choose an image below/);
  assert.match(await page.locator("this-but .privacy").innerText(), /search never leaves/);
  await page.locator("this-but [role=option]").first().waitFor();

  // What is pasted, dropped or given by the page gets the sentence; the pictures stay.
  const file = [...shape("ring", "blue")];
  await page.evaluate((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
    document.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data }));
  }, file);
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /cannot read images of your own/);
  assert.ok(await page.locator("this-but [role=option]").first().isVisible());
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null);

  // The way on leads to the pictures, and so does the slot: no file chooser opens.
  let choosers = 0;
  page.on("filechooser", () => choosers++);
  await way(page, "Choose another image").click();
  const first = await page.locator("this-but [role=option]").first().getAttribute("aria-label");
  assert.equal(await focused(page), first);
  await page.locator("this-but input[type=text]").focus();
  await slot.focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), first);
  assert.equal(choosers, 0);

  const found = await answer(page, () => page.keyboard.press("Enter"));
  assert.equal(found.reference.title, first);
  assert.match(await slot.getAttribute("aria-label"), /Choose another image/);
});

on("an image whose data is damaged is named, with ways on", {}, async (page) => {
  await inMode(page, "damaged");
  await ready(page);
  const first = page.locator("this-but [role=option]").first();
  await first.click();
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /data of this image is damaged/);
  assert.ok(await way(page, "Try again").isVisible());
  await way(page, "Choose another image").click();
  await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.role === "option");
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null);
  assert.ok((await answer(page, () => first.click())).hits.length);
});

on("a version mismatch is named, with ways on", {}, async (page) => {
  await inMode(page, "version");
  await page.locator("this-but .error").waitFor({ state: "visible" });
  assert.match(await message(page), /different versions/);
  assert.ok(await way(page, "Reload the page").isVisible());
});

on("without the graphics card the processor answers", {}, async (page) => {
  await inMode(page, "nogpu", 'device="webgpu"');
  await ready(page);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").info.device), "cpu");
});

on("a site that has no module for the graphics card yet is not measured", {}, async (page) => {
  await page.evaluate(() =>
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => ({ info: { vendor: "test" } }) } }),
  );
  await inMode(page, "nomodule");
  await ready(page);
  await page.waitForTimeout(4500);
  assert.equal(page.workers().length, 1);
  assert.equal(await page.evaluate(() => localStorage.getItem("thisbut:device")), null);
});

on("two elements share a worker, the last one ends it", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => document.querySelector("main").append(document.createElement("this-but")));
  await page.waitForFunction(() => [...document.querySelectorAll("this-but")].every((one) => one.info));
  assert.equal(page.workers().length, 1);
  await page.evaluate(() => document.querySelector("this-but").remove());
  await page.waitForTimeout(100);
  assert.equal(page.workers().length, 1);
  await page.evaluate(() => document.querySelector("this-but").remove());
  await page.waitForTimeout(300);
  assert.equal(page.workers().length, 0);
});

on("everything can be done with the keyboard", {}, async (page) => {
  await ready(page);
  await page.locator("this-but [role=option]").first().waitFor();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.locator(".theme").focus();
  const seen = [];
  for (let i = 0; i < 12; i++) {
    await press("Tab");
    seen.push(await focused(page));
    if (await page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.role === "option")) break;
  }
  assert.match(seen[0], /Add an image/);
  assert.ok(seen.includes("Search"), seen.join(" | "));
  const first = await focused(page);
  await press("ArrowRight");
  const right = await focused(page);
  assert.notEqual(right, first);
  await press("ArrowDown");
  assert.notEqual(await focused(page), right);
  await press("ArrowUp", "Home");
  assert.equal(await focused(page), first);
  const found = await answer(page, () => press("Enter"));
  assert.equal(found.reference.title, first);
  // The words are next: the focus went there by itself.
  await page.keyboard.type("in blue");
  await page.waitForFunction(() => document.querySelector("this-but").hits[0]?.title.startsWith("blue"));
});

on("names, roles, contrast and sizes are in order", {}, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  await say(page, "in blue");
  const faults = await page.evaluate(() => {
    const root = document.querySelector("this-but").shadowRoot;
    const faults = [];
    const shown = (node) => node.checkVisibility?.() && node.getClientRects().length;
    const name = (node) => node.getAttribute("aria-label") || node.labels?.[0]?.innerText || node.innerText?.trim() || node.title;
    for (const node of root.querySelectorAll("button, input, summary, [role=option], [role=listbox]")) {
      if (shown(node) && !name(node)) faults.push(`no name: ${node.outerHTML.slice(0, 80)}`);
    }
    for (const image of root.querySelectorAll("img")) if (!image.hasAttribute("alt")) faults.push("img without alt");
    for (const node of root.querySelectorAll("button")) {
      const box = node.getBoundingClientRect();
      if (shown(node) && (box.height < 24 || box.width < 24)) faults.push(`small target: ${name(node)} ${box.width}×${box.height}`);
    }
    const ids = [...root.querySelectorAll("[id]")].map(({ id }) => id);
    if (new Set(ids).size !== ids.length) faults.push("an id twice");
    if (root.querySelectorAll("[role=option][tabindex='0']").length !== 1) faults.push("the listbox needs exactly one tab stop");
    if (parseFloat(getComputedStyle(root.querySelector("input[type=text]")).fontSize) < 16) faults.push("input below 16 px zooms on phones");
    if (root.querySelector("[style*='color']")) faults.push("inline colours");
    return faults;
  });
  assert.deepEqual(faults, []);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const ratios = await page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const light = (/** @type {number[]} */ [r, g, b]) => [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const root = document.querySelector("this-but").shadowRoot;
      const behind = (node) => {
        for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
          const colour = rgb(getComputedStyle(at).backgroundColor);
          if (colour[3] > 200) return colour;
        }
        return [255, 255, 255];
      };
      const texts = [".voice i", ".privacy", ".chip", ".title", "h2", "h2 small", ".quiet:not([hidden])", "summary", ".go", "input[type=text]"];
      return texts.map((selector) => {
        const node = root.querySelector(selector);
        const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
        return [selector, (a + 0.05) / (b + 0.05)];
      });
    });
    for (const [selector, ratio] of ratios) assert.ok(ratio >= 4.5, `${scheme} ${selector}: contrast ${ratio.toFixed(2)}`);
  }
});

on("no sideways scrolling on a phone, in either direction of writing", { viewport: { width: 390, height: 844 } }, async (page) => {
  await ready(page);
  await answer(page, () => page.locator("this-but [role=option]").first().click());
  for (const dir of ["ltr", "rtl"]) {
    const over = await page.evaluate((value) => {
      document.documentElement.dir = value;
      return document.documentElement.scrollWidth - innerWidth;
    }, dir);
    await page.waitForTimeout(600);
    assert.ok(over <= 0, `${dir}: ${over} px too wide`);
  }
});

on("it speaks German, and a page can teach it more", { path: "?lang=de" }, async (page) => {
  await ready(page);
  assert.match(await page.locator("this-but .privacy").innerText(), /verlässt dieses Gerät nie/);
  await page.evaluate(() => {
    /** @type {any} */ (customElements.get("this-but")).define("x-test", { privacy: "zzz" });
    document.querySelector("this-but").setAttribute("lang", "x-test");
  });
  assert.equal(await page.locator("this-but .privacy").innerText(), "zzz");
});

on("a page can keep a chosen result for itself", {}, async (page) => {
  await ready(page);
  await page.evaluate(() => document.querySelector("this-but").addEventListener("select", (event) => (event.preventDefault(), (window.chosen = event.detail.title))));
  await page.locator("this-but [role=option]").first().click();
  assert.ok(await page.evaluate(() => window.chosen));
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null);
});

test("it runs on another site's page", { timeout: 60_000 }, async () => {
  const html = `<!doctype html><script type="module" src="${here.site.address}this-but.js"></script><this-but></this-but>`;
  const other = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(html));
  await new Promise((done) => other.listen(0, "127.0.0.1", () => done(null)));
  const { page, context } = await open(here.browser, `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (other.address()).port}/`);
  try {
    await page.waitForFunction(() => customElements.get("this-but"));
    await ready(page);
    assert.equal((await say(page, "blue cross")).hits[0].title, "blue cross");
  } finally {
    await context.close();
    other.close();
  }
});
