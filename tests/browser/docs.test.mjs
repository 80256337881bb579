// The documentation site: built by its command, opened under the strict policy, searched, looked at by axe. Its examples run over
// the mock engine.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { entries as contents } from "../../docs/site/contents.mjs";
import { declaration } from "../../docs/site/lib/element.mjs";
import { codes, entries, gaps, sentences } from "../../docs/site/lib/errors.mjs";
import { dead, relink, slug } from "../../docs/site/lib/links.mjs";
import { sizes } from "../../docs/site/lib/sizes.mjs";
import { script, themes } from "../../docs/site/lib/snippets.mjs";
import { measure } from "../../scripts/size-check.mjs";
import { complaints, settled } from "./lib/axe.mjs";
import { launch } from "./lib/browser.mjs";
import { open } from "./lib/page.mjs";
import { serve } from "./lib/server.mjs";
import { mockFolder } from "./mock/site.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "thisbut-docs-test-"));
const out = join(work, "docs");
const demo = join(work, "site");
const base = "/manual/";
const read = (/** @type {string} */ path) => readFileSync(join(root, path), "utf8");

let browser;
let site;
before(async () => {
  await mockFolder(demo, `${base}demo/`);
  const build = promisify(execFile)(join(root, "scripts/docs"), ["build", out, demo], { env: { ...process.env, THISBUT_DOCS_BASE: base } });
  [browser] = await Promise.all([launch(), build]);
  site = await serve({ mounts: [[base, out]] });
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Opens a page of the site; nothing may complain, the content policy least of all. */
function on(name, route, run, options = {}) {
  test(name, { timeout: 120_000 }, async () => {
    const { page, context, problems } = await open(browser, site.address, { path: `${base.slice(1)}${route}`, ...options });
    try {
      await page.waitForFunction(() => /** @type {any} */ (document.querySelector("#app"))?.__vue_app__);
      await run(page);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  });
}

/** Scrolls to every live example that fits, and waits for the answer of those that ask. @param {any} page @param {string} selector */
async function answered(page, selector = ".live") {
  for (const live of await page.locator(`${selector}:has(this-but)`).all()) {
    await live.scrollIntoViewIfNeeded();
    await live.evaluate(async (/** @type {HTMLElement} */ figure) => {
      const element = /** @type {any} */ (figure.querySelector("this-but"));
      const asks = figure.dataset.example !== "smallest";
      const there = () => element.shadowRoot?.querySelector(".tile:not(.blank)") && !element.shadowRoot.querySelector(".stale") && (!asks || (element.reference && element.hits.length));
      for (const end = Date.now() + 60_000; !there(); await new Promise((done) => setTimeout(done, 50))) if (Date.now() > end) throw new Error(`${figure.dataset.example} has no answer`);
    });
  }
}

test("every document has its page, and its words are in it", () => {
  for (const { route, from } of contents()) {
    const html = readFileSync(join(out, `${route}.html`), "utf8");
    const [, title] = from?.endsWith(".md") ? /^# (.*)$/m.exec(read(from)) ?? [] : [];
    if (title) assert.ok(html.includes(`id="${slug(title)}"`), `${route}: ${title}`);
  }
});

test("a link that leads nowhere is found, whether file or place", () => {
  const folder = join(work, "broken");
  mkdirSync(folder);
  writeFileSync(join(folder, "a.html"), '<h1 id="here">A</h1><a href="b.html">no</a><a href="#here">yes</a><a href="a.html#gone">no</a><a href="/other/a.html">no</a><img src="/x/a.html">');
  const found = dead(folder, "/x/");
  assert.equal(found.length, 3, found.join("\n"));
  assert.deepEqual(dead(out, base, ["demo"]), []);
  const lead = (/** @type {string} */ path) => `/to/${path}`;
  assert.equal(relink("[a\nb](../x.md#y) `c` ![d](e.svg)\n```\n[f](g.md)\n```\n", "docs/guides/z.md", lead), "[a\nb](/to/docs/x.md#y) `c` ![d](/to/docs/guides/e.svg)\n```\n[f](g.md)\n```\n");
  assert.throws(() => relink("[a](../../../x.md)", "docs/guides/z.md", lead), /leads out of the repository/);
});

test("every code of an error has its entry, and a new one without fails", async () => {
  const known = await codes(root);
  const text = read("docs/reference/errors.md");
  assert.ok(known.includes("network") && known.includes("superseded") && known.length > 20, String(known));
  assert.deepEqual(gaps(text, known), []);
  assert.deepEqual(gaps(text, [...known, "melted"]), ["melted has no entry"]);
  assert.deepEqual(gaps(text, known.filter((code) => code !== "simd")), ["simd is made nowhere"]);
  assert.deepEqual(gaps(text.replace("**Mend.** Update it.", "Update it."), known), ['simd has no "Mend"']);
  const html = readFileSync(join(out, "element/errors.html"), "utf8");
  for (const code of entries(text).keys()) assert.ok(html.includes(`id="${code}"`), code);
  for (const [key, said] of Object.entries(await sentences(root))) {
    if (/^(error|image)\.\w+$/.test(key) && !said.includes("{")) assert.ok(html.includes(said.replaceAll("'", "&#39;")) || html.includes(said), key);
  }
});

test("figures are those of the site beside it; without one the page says how to get them", () => {
  const html = readFileSync(join(out, "element/sizes.html"), "utf8");
  const { element } = measure(demo);
  assert.ok(html.includes(`${(element / 1e3).toFixed(1)} kB`), String(element));
  assert.match(sizes(null), /scripts\/serve/);
  assert.doesNotMatch(sizes(null), /\d kB/);
});

on("the element's reference has all of the manifest", "element/reference.html", async (page) => {
  const { attributes, members, events, cssProperties, cssParts } = declaration(JSON.parse(read("www/custom-elements.json")));
  const section = (/** @type {string} */ id) =>
    page.evaluate((id) => {
      const names = [];
      for (let at = document.getElementById(id).nextElementSibling; at && at.tagName !== "H2"; at = at.nextElementSibling) {
        names.push(...[...at.querySelectorAll("td:first-child code"), ...(at.tagName === "H3" ? [at.querySelector("code")] : [])].map((one) => one.textContent));
      }
      return names;
    }, id);
  const names = (/** @type {any[]} */ list) => list.map(({ name, static: fixed }) => (fixed ? `ThisBut.${name}` : name));
  assert.deepEqual(await section("attributes"), names(attributes));
  assert.deepEqual(await section("properties"), names(members.filter(({ kind }) => kind === "field")));
  assert.deepEqual(await section("methods"), names(members.filter(({ kind }) => kind === "method")));
  assert.deepEqual(await section("events"), names(events));
  assert.deepEqual(await section("custom-properties"), names(cssProperties));
  assert.deepEqual(await section("parts"), names(cssParts));
  const types = await page.locator("#properties ~ .vp-table td:nth-child(2), #attributes + * td:nth-child(2)").allInnerTexts();
  assert.ok(types.includes("'auto' | 'cpu' | 'webgpu'"), String(types));
});

on("the search finds temperature, by keyboard alone", "", async (page) => {
  await page.keyboard.press("Control+k");
  await page.locator(".finder input:focus").waitFor();
  await page.keyboard.type("temperature");
  const places = page.locator(".found a");
  await places.first().waitFor();
  const links = await places.evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  assert.ok(links.some((link) => link.includes("reference/glossary")), String(links));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname !== base);
  await page.locator("main", { hasText: /temperature/i }).waitFor();
  await page.keyboard.press("Control+k");
  await page.locator(".finder input").fill("xyzzyplugh");
  await page.locator(".finder", { hasText: "Nothing found" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".finder").waitFor({ state: "detached" });
});

on("the live examples answer, with the scripts that are shown", "element/examples.html", async (page) => {
  for (const file of readdirSync(join(root, "docs/site/examples"))) {
    const name = file.replace(".js", "");
    await answered(page, `.live[data-example="${name}"]`);
    const shown = await page.locator(`.live[data-example="${name}"] ~ .language-js pre`).first().innerText();
    assert.equal(shown.trim(), script(read(`docs/site/examples/${file}`), name).trim());
  }
  assert.match(await page.locator('.live[data-example="events"] output').innerText(), /Best: /);
  assert.match(await page.locator('.live[data-example="captions"] .title').first().innerText(), /^1\. /);
  assert.ok((await page.locator('.live[data-example="suggestions"] .chip').allInnerTexts()).includes("as a firefighter"));
  assert.equal(await page.locator(".live-problem").count(), 0);
});

on("every theme is on its element, with the style that is shown", "element/themes.html", async (page) => {
  for (const { name, title, css } of themes(join(root, "docs/site"))) {
    const one = page.locator(`.live this-but.${name}`);
    await answered(page, `.live:has(this-but.${name})`);
    const shown = await page.locator(`#${slug(title)} ~ .language-css pre`).first().innerText();
    assert.equal(shown.trim(), css.trim());
    const [, property, value] = /(--this-but-radius): (.*);/.exec(css);
    assert.equal(await one.evaluate((element, property) => getComputedStyle(element).getPropertyValue(property), property), value);
  }
});

/** One page of each kind. */
const KINDS = ["", "guides/for-site-owners.html", "element/reference.html", "element/examples.html", "element/themes.html", "element/errors.html", "element/sizes.html", "reference/glossary.html", "notes/shipped-model.html", "project/changelog.html", "source/recipes.html"];

/** What axe finds. Several searches on one page have landmarks of one name, each in its own element. @param {any} page */
async function violations(page) {
  const several = (await page.locator("this-but").count()) > 1;
  return complaints(page, { "landmark-unique": { enabled: !several } });
}

for (const route of KINDS) {
  on(`axe finds nothing and nothing is too wide: ${route || "the first page"}`, route, async (page) => {
    await answered(page);
    for (const [width, colorScheme] of [[1360, "light"], [390, "dark"]]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(200);
      await settled(page);
      assert.deepEqual(await violations(page), [], `${width} ${colorScheme}`);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${width}: too wide`);
    }
  });
}

on("axe finds nothing: the search, the menu on a phone", "guides/for-visitors.html", async (page) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.locator(".finder-open").click();
  await page.locator(".finder input").fill("gallery");
  await page.locator(".found a").first().waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.locator(".VPLocalNav .menu").click();
  await page.locator(".VPSidebar.open").waitFor();
  await page.waitForTimeout(300);
  assert.deepEqual(await violations(page), []);
});
