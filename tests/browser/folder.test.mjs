// The visitor's own folder: pictures of every kind of source are read, searched with the gallery and alone, kept and forgotten, and
// saved as a gallery. Over the real engine with the small bundle.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { launch } from "./lib/browser.mjs";
import { COLOURS, SHAPES, png, shape } from "./lib/images.mjs";
import { answer, intend, kept, open, ready, until } from "./lib/page.mjs";
import { DIST, site } from "./lib/site.mjs";
import { serve } from "./lib/server.mjs";

let browser;
let here;
let home;
before(async () => {
  [browser, here, home] = await Promise.all([launch(), site({ tiny: true }), mkdtemp(join(tmpdir(), "thisbut-folder-"))]);
});
after(async () => {
  await browser?.close();
  await here?.close();
  await rm(home, { recursive: true, force: true });
});

/** Every shape in every colour, as a visitor might have them. @returns {[string, Buffer][]} */
const pictures = (below = "") => SHAPES.flatMap((name) => Object.keys(COLOURS).map((colour) => /** @type {[string, Buffer]} */ ([`${below}${name} ${colour} own.png`, shape(name, colour)])));

/** @param {string} name @param {[string, Buffer][]} files */
async function folder(name, files) {
  const root = join(home, name);
  await mkdir(root, { recursive: true });
  for (const [path, body] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), body);
  }
  return root;
}

/** A zip archive. @param {[string, Buffer][]} files @param {(record: {method: number, size: number}) => void} [bend] */
function zip(files, bend = () => {}) {
  const parts = [];
  const list = [];
  let at = 0;
  for (const [path, body] of files) {
    const name = Buffer.from(path);
    const packed = deflateRawSync(body);
    const record = { method: 8, size: body.length };
    bend(record);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(record.method, 4);
    common.writeUInt32LE(crc32(body), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(record.size, 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("504b0304", "hex"), common, name, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    list.push(Buffer.from("504b01021400", "hex"), common, tail, name);
    at += 30 + name.length + packed.length;
  }
  const records = Buffer.concat(list);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(records.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, records, end]);
}

const panel = (page) => page.locator("this-but .own");
const said = (page) => panel(page).locator("p").nth(1);

/** The page with the folder open, its helpers started. */
async function start(how = {}) {
  const { page, context, problems } = await open(browser, here.address, how);
  await unfold(page);
  return { page, context, problems };
}

async function unfold(page) {
  await intend(page);
  await ready(page);
  await page.locator("this-but .folder-open").click();
  await panel(page).waitFor();
}

const choose = (page, path) => panel(page).locator("input[data-own=folder]").setInputFiles(path);
const give = (page, files) => panel(page).locator("input[data-own=files]").setInputFiles(files);
const over = (page, count, timeout = 120_000) => said(page).filter({ hasText: new RegExp(`^(Stopped\\. )?${count} pictures`) }).waitFor({ timeout });
const own = ({ hits }) => hits.filter((hit) => hit.own);

/** Runs with the folder open; the page complains of nothing. */
function on(name, run, how = {}) {
  test(name, { timeout: 300_000 }, async (t) => {
    const { page, context, problems } = await start(how);
    try {
      await run(page, t, context);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  });
}

/** Answers with the marks of own pictures. */
async function asked(page, act) {
  await answer(page, act);
  return page.evaluate(() => ({ hits: document.querySelector("this-but").hits }));
}

on("a folder in folders: read by name, searched with the gallery and alone, and nothing is requested", async (page) => {
  const path = await folder("nested", [...pictures("trip/day 1/"), ["trip/notes.txt", Buffer.from("x")], ["trip/cut.jpg", Buffer.from("ffd8ffe000", "hex")], ["trip/empty.png", Buffer.alloc(0)], ["trip/.hidden.png", shape("ring", "red")], ["trip/words.png", Buffer.from("no picture")]]);
  // The helpers have what they need before a picture is chosen.
  await page.waitForTimeout(3000);
  const requests = [];
  // The browser itself asks for the icon when the address changes.
  page.context().on("request", (request) => /^https?:/.test(request.url()) && !request.url().endsWith("favicon.svg") && requests.push(request.url()));
  const reached = [];
  here.state.fault = (path) => void (path.endsWith("favicon.svg") || reached.push(path));
  await choose(page, path);
  await over(page, 30);
  const bad = panel(page).locator("details li");
  assert.deepEqual((await bad.locator("b").allTextContents()).map((name) => name.split("/").pop()).sort(), ["cut.jpg", "empty.png", "words.png"]);
  assert.match(await panel(page).innerText(), /One other file is no picture/);
  await panel(page).getByRole("button", { name: "My pictures" }).click();
  const alone = await asked(page, () => page.locator("this-but .own .strip button").first().click());
  assert.ok(alone.hits.length > 5 && own(alone).length === alone.hits.length, JSON.stringify(alone.hits[0]));
  const chosen = await page.evaluate(() => document.querySelector("this-but").reference.title);
  assert.ok(!alone.hits.some(({ title }) => title === chosen), "the chosen picture is no answer");
  assert.deepEqual([requests, reached], [[], []], "nothing is requested");
  here.state.fault = null;

  const both = await asked(page, () => panel(page).getByRole("button", { name: "Everything" }).click());
  assert.ok(own(both).length > 0 && own(both).length < both.hits.length);
  const shipped = await asked(page, () => panel(page).getByRole("button", { name: "The gallery" }).click());
  assert.equal(own(shipped).length, 0);

  await panel(page).getByRole("button", { name: "Forget all" }).click();
  await said(page).filter({ hasText: "forgotten" }).waitFor();
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null, "a search from a forgotten picture is over");
});

on("an empty folder, and a zip without pictures, say so", async (page) => {
  await give(page, { name: "none.zip", mimeType: "application/zip", buffer: zip([["a.txt", Buffer.from("x")]]) });
  await said(page).filter({ hasText: "There are no pictures in it" }).waitFor();
});

on("a zip is read entry by entry; what is broken in it is named", async (page) => {
  const files = /** @type {[string, Buffer][]} */ ([...pictures("album/").slice(0, 6), ["album/lies.png", Buffer.concat([shape("ring", "red"), Buffer.alloc(5000)])]]);
  const bent = (record) => record.size > 5000 && (record.size = 100);
  await give(page, [
    { name: "album.zip", mimeType: "application/zip", buffer: zip(files, bent) },
    { name: "torn.zip", mimeType: "application/zip", buffer: zip(pictures().slice(0, 3)).subarray(0, 900) },
  ]);
  await over(page, 6);
  const bad = await panel(page).locator("details li").allTextContents();
  assert.equal(bad.length, 2, bad.join());
  assert.ok(bad.some((line) => line.includes("lies.png")) && bad.some((line) => line.includes("torn.zip")), bad.join());
});

on("reading is halted, goes on, and is stopped; the same again is passed over", async (page) => {
  const files = pictures().concat(pictures("more/"), pictures("again/"));
  const path = await folder("halted", files);
  await choose(page, path);
  await panel(page).getByRole("button", { name: "Pause" }).click();
  await panel(page).getByText(/^Paused at/).waitFor();
  await page.waitForTimeout(1500);
  const before = await panel(page).locator(".far-line b").innerText();
  await page.waitForTimeout(1500);
  assert.equal(await panel(page).locator(".far-line b").innerText(), before, "nothing is read meanwhile");
  await panel(page).getByRole("button", { name: "Go on" }).click();
  await panel(page).getByRole("button", { name: "Stop" }).click();
  await said(page).filter({ hasText: /^Stopped/ }).waitFor();
  const some = Number((await said(page).innerText()).match(/\d+/)?.[0] ?? 0);
  assert.ok(some < files.length, `${some}`);
  await choose(page, path);
  await over(page, files.length);
  if (some) assert.match(await panel(page).innerText(), /there already/);
});

on("kept pictures are there after a reload in the middle, and reading goes on", async (page) => {
  const path = await folder("kept", pictures().concat(pictures("more/"), pictures("third/"), pictures("fourth/")));
  await give(page, { name: "one.png", mimeType: "image/png", buffer: shape("ring", "red", 32) });
  await said(page).filter({ hasText: "One picture" }).waitFor();
  await panel(page).getByRole("checkbox").check();
  await choose(page, path);
  await until(page, () => Number(document.querySelector("this-but").shadowRoot.querySelector(".own .far-line b").textContent.match(/\d+/)?.[0]) > 40);
  await page.reload();
  await intend(page);
  await ready(page);
  await panel(page).waitFor();
  await said(page).filter({ hasText: /were read before/ }).waitFor();
  const known = Number((await said(page).innerText()).match(/\d+/)?.[0] ?? 0);
  assert.ok(known >= 32 && known < 121, `${known}`);
  await choose(page, path);
  await over(page, 121);
  await page.reload();
  await intend(page);
  await over(page, 121);
  await panel(page).getByRole("button", { name: "Forget all" }).click();
  await said(page).filter({ hasText: "forgotten" }).waitFor();
  await page.reload();
  await intend(page);
  await ready(page);
  assert.equal(await panel(page).count(), 0, "nothing is left");
});

on("where there is no room, pictures are searched and not kept", async (page) => {
  await page.evaluate(() => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  await give(page, pictures().slice(0, 3).map(([name, buffer]) => ({ name, mimeType: "image/png", buffer })));
  await over(page, 3);
  await panel(page).getByRole("checkbox").click();
  await panel(page).getByText("no more room").waitFor();
  assert.equal(await panel(page).getByRole("checkbox").isChecked(), false);
});

on("two tabs: one keeps, the other has what is kept, and both forget", async (page, t, context) => {
  const other = await context.newPage();
  await other.goto(here.address);
  await unfold(other);
  await give(page, pictures().slice(0, 4).map(([name, buffer]) => ({ name, mimeType: "image/png", buffer })));
  await over(page, 4);
  await panel(page).getByRole("checkbox").check();
  await over(other, 4);
  // While one tab writes, the other one does not.
  await page.evaluate(() => void navigator.locks.request("thisbut-own", () => new Promise((done) => (/** @type {any} */ (window).over = done))));
  await panel(other).getByRole("checkbox").uncheck();
  await page.waitForTimeout(500);
  await give(other, pictures("x/").slice(5, 7).map(([name, buffer]) => ({ name: name.slice(2), mimeType: "image/png", buffer })));
  await panel(other).getByRole("checkbox").click();
  await other.locator("this-but .own").getByText("Another tab").waitFor();
  await panel(other).getByRole("button", { name: "Forget all" }).click();
  await said(other).filter({ hasText: "forgotten" }).waitFor();
});

on("two tabs: what one forgets, the other one has no longer", async (page, t, context) => {
  const other = await context.newPage();
  await other.goto(here.address);
  await unfold(other);
  await give(page, pictures().slice(0, 4).map(([name, buffer]) => ({ name, mimeType: "image/png", buffer })));
  await over(page, 4);
  await panel(page).getByRole("checkbox").check();
  await over(other, 4);
  const found = await asked(other, () => panel(other).locator(".strip button").first().click());
  assert.ok(own(found).length);
  await panel(page).getByRole("button", { name: "Forget all" }).click();
  await said(page).filter({ hasText: "forgotten" }).waitFor();
  await other.waitForFunction(() => !document.querySelector("this-but").reference && !document.querySelector("this-but").hits.some((/** @type {any} */ { own }) => own));
  await panel(other).locator(".strip").waitFor({ state: "hidden" });
  assert.equal(await panel(other).getByRole("checkbox").count(), 0);
  await other.reload();
  await intend(other);
  await ready(other);
  assert.equal(await panel(other).count(), 0, "nothing is left");
});

on("a folder and a zip that are dropped, as the system drops them", async (page, t, context) => {
  const path = await folder("dropped", [...pictures("deep/in/").slice(0, 5), ["deep/notes.txt", Buffer.from("x")]]);
  const archive = join(home, "dropped.zip");
  await writeFile(archive, zip(pictures("zipped/").slice(5, 9)));
  const session = await context.newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type: /** @type {any} */ (type), x: 300, y: 300, data: { items: [], files: [path, archive], dragOperationsMask: 1 } });
  }
  await over(page, 9);
  assert.match(await panel(page).innerText(), /One other file is no picture/);
  const found = await asked(page, () => panel(page).locator(".strip button").first().click());
  assert.ok(own(found).length > 0);
});

test("without a network after the first visit, a folder is read and searched", { timeout: 300_000 }, async () => {
  const there = await site({ tiny: true });
  const { page, context, problems } = await open(browser, there.address, { workers: "allow" });
  try {
    await unfold(page);
    await kept(page);
    await page.waitForTimeout(1000);
    there.state.down = true;
    await context.setOffline(true);
    await page.reload();
    await unfold(page);
    await choose(page, await folder("offline", pictures()));
    await over(page, 30);
    await panel(page).getByRole("button", { name: "My pictures" }).click();
    const found = await asked(page, () => panel(page).locator(".strip button").first().click());
    assert.ok(own(found).length > 5 && own(found).length === found.hits.length);
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await there.close();
  }
});

on("what is saved is a bundle that a page shows", async (page) => {
  await choose(page, await folder("saved", pictures()));
  await over(page, 30);
  const [download] = await Promise.all([page.waitForEvent("download"), panel(page).getByRole("button", { name: "Save as a gallery" }).click()]);
  const archive = await readFile(await download.path());
  const root = join(home, "unpacked");
  for (let at = 0; archive.readUInt32LE(at) === 0x04034b50; ) {
    const [size, long] = [archive.readUInt32LE(at + 18), archive.readUInt16LE(at + 26)];
    const path = join(root, archive.toString("utf8", at + 30, at + 30 + long));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, archive.subarray(at + 30 + long, at + 30 + long + size));
    at += 30 + long + size;
  }
  const there = await serve({ mounts: [["/bundle/", join(root, "bundle")], ["/", DIST]] });
  const { page: shown, context, problems } = await open(browser, there.address);
  try {
    await intend(shown);
    await ready(shown);
    assert.equal(await shown.evaluate(() => document.querySelector("this-but").info.count), 30);
    const { hits } = await answer(shown, () => shown.locator("this-but [role=option]").first().click());
    assert.ok(hits.length > 5 && hits.every(({ title }) => / own$/.test(title)));
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await there.close();
  }
});

on("5,000 files from a zip", async (page, t) => {
  const files = Array.from({ length: 5000 }, (_, n) => /** @type {[string, Buffer]} */ ([`many/${n}.png`, png(8, 8, { pixel: (x, y) => [n & 255, n >> 8, (x * y * n) & 255] })]));
  const began = Date.now();
  await give(page, { name: "many.zip", mimeType: "application/zip", buffer: zip(files) });
  await over(page, "5,000", 280_000);
  t.diagnostic(`5,000 small pictures in ${Math.round((Date.now() - began) / 1000)} s`);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").info.count), 5030);
});
