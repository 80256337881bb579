// The npm package: packed, installed, built with a bundler and opened; its one file; its types; its description for editors.
// The wasm module is a stand-in.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./lib/browser.mjs";
import { open, ready, titles } from "./lib/page.mjs";
import { serve } from "./lib/server.mjs";
import { loaderSite } from "./mock/runtime.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const bin = join(root, "tests/browser/node_modules/.bin");
const run = (command, options, cwd) => execFileSync(command, options, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

let browser;
let stand;
let work;
let installed;
before(async () => {
  [browser, stand] = await Promise.all([launch(), loaderSite()]);
  work = mkdtempSync(join(tmpdir(), "thisbut-package-"));
  run("node", [join(root, "scripts/package.mjs"), join(stand.folder, "runtime"), join(work, "package")], root);
  run("npm", ["pack", "--silent", "--pack-destination", work], join(work, "package"));
  const [archive] = readdirSync(work).filter((name) => name.endsWith(".tgz"));
  mkdirSync(join(work, "app/node_modules"), { recursive: true });
  run("tar", ["xzf", archive], work);
  cpSync(join(work, "package"), join(work, "app/node_modules/thisbut"), { recursive: true });
  installed = join(work, "app/node_modules/thisbut");
});
after(async () => {
  await browser?.close();
  await stand?.close();
});

/** Opens a folder as a site, with the stand-in bundle beside it. */
async function opened(folder, path, look) {
  const site = await serve({ mounts: [["/bundle/", join(stand.folder, "bundle")], ["/", folder]] });
  const { page, context, problems } = await open(browser, site.address, { path });
  try {
    await ready(page);
    await page.locator("this-but .tile:not(.blank)").first().waitFor();
    await look?.(page, site);
    assert.deepEqual(problems.filter((line) => !line.includes("favicon")), []);
  } finally {
    await context.close();
    await site.close();
  }
}

test("a page built with Vite finds worker and module without configuration", { timeout: 300_000 }, async () => {
  const app = join(work, "app");
  writeFileSync(join(app, "index.html"), '<!doctype html><html lang="en"><script type="module" src="/main.js"></script><this-but bundle="/bundle/" lang="de"></this-but>');
  writeFileSync(join(app, "main.js"), 'import "thisbut";');
  run(join(bin, "vite"), ["build", "--logLevel", "error"], app);
  await opened(join(app, "dist"), "", async (page) => {
    await page.locator("this-but >> text=So funktioniert").or(page.locator("this-but >> text=Wie es funktioniert")).first().waitFor();
    assert.ok((await titles(page)).length);
  });
});

test("the one file runs from its own folder, with its integrity hash", { timeout: 300_000 }, async () => {
  const { "this-but.min.js": hash } = JSON.parse(readFileSync(join(installed, "integrity.json"), "utf8"));
  const body = readFileSync(join(installed, "this-but.min.js"));
  assert.equal(hash, `sha384-${createHash("sha384").update(body).digest("base64")}`);
  const html = `<!doctype html><html lang="de"><link rel="icon" href="favicon.svg"><script type="module" src="this-but.min.js" integrity="${hash}" crossorigin></script><this-but bundle="/bundle/"></this-but>`;
  writeFileSync(join(installed, "page.html"), html);
  await opened(installed, "page.html", (page) => page.locator("this-but >> text=Wie es funktioniert").waitFor());
});

test("React, with properties and events as they are", { timeout: 300_000 }, async () => {
  const app = join(work, "react");
  mkdirSync(app);
  cpSync(join(work, "app/node_modules"), join(app, "node_modules"), { recursive: true });
  for (const name of ["react", "react-dom", "scheduler"]) cpSync(join(root, "tests/browser/node_modules", name), join(app, "node_modules", name), { recursive: true });
  writeFileSync(join(app, "index.html"), '<!doctype html><html lang="en"><div id="app"></div><script type="module" src="/main.js"></script>');
  writeFileSync(
    join(app, "main.js"),
    `import "thisbut";
     import { createElement as h } from "react";
     import { createRoot } from "react-dom/client";
     window.told = [];
     const item = (one) => Object.assign(document.createElement("b"), { textContent: "* " + one.title });
     createRoot(document.querySelector("#app")).render(h("this-but", { bundle: "/bundle/", limit: 5, text: "picture", renderItem: item, onresults: ({ detail }) => window.told.push(detail.hits.length) }));`,
  );
  run(join(bin, "vite"), ["build", "--logLevel", "error"], app);
  await opened(join(app, "dist"), "", async (page) => {
    await page.waitForFunction(() => /** @type {any} */ (window).told.length);
    assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).told[0]), 5);
    assert.match((await titles(page))[0], /^\* picture/);
  });
});

test("types know the tag, its events and JSX", { timeout: 120_000 }, () => {
  const app = join(work, "app");
  writeFileSync(
    join(app, "check.ts"),
    `import "thisbut";
     import { define, type Item } from "thisbut";
     const element = document.createElement("this-but");
     element.limit = 3;
     element.renderItem = (item: Item) => item.title;
     const hits: Promise<Item[]> = element.show(new Blob(), "x");
     const more: Promise<Item[]> = element.search("red");
     define("fr", { more: "Plus" });
     const props: JSX.IntrinsicElements["this-but"] = { limit: 3, onresults: (event) => event.detail.hits[0].title };
     // @ts-expect-error a limit is a number
     element.limit = "three" as string;
     void [hits, more, props];`,
  );
  run(join(bin, "tsc"), ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "check.ts"], app);
});

test("the description for editors is that of the element", async () => {
  const manifest = JSON.parse(readFileSync(join(installed, "custom-elements.json"), "utf8"));
  const [element] = manifest.modules[0].declarations;
  const site = await loaderSite();
  const { page, context } = await open(browser, site.address);
  await ready(page);
  const seen = await page.evaluate(() => {
    const { constructor } = /** @type {any} */ (document.querySelector("this-but"));
    const all = {};
    for (let one = constructor.prototype; one !== HTMLElement.prototype; one = Object.getPrototypeOf(one)) Object.assign(all, { ...Object.getOwnPropertyDescriptors(one), ...all });
    // What the element's own parts use among themselves is not described.
    const names = Object.keys(all).filter((name) => !/Callback$|^constructor$|^emit$|^entry$|^entered$|^tell$|^listen$/.test(name));
    return { names, observed: constructor.observedAttributes, readonly: names.filter((name) => all[name].get && !all[name].set) };
  });
  await context.close();
  await site.close();
  const members = element.members.filter((one) => !one.static);
  assert.deepEqual(members.map(({ name }) => name).sort(), seen.names.sort());
  assert.deepEqual(members.filter((one) => one.readonly).map(({ name }) => name).sort(), seen.readonly.sort());
  const attributes = element.attributes.map(({ name }) => name);
  assert.ok(seen.observed.every((name) => attributes.includes(name)));
  const sources = readdirSync(join(root, "www/element"), { recursive: true }).map(String).filter((name) => name.endsWith(".js")).map((name) => readFileSync(join(root, "www/element", name), "utf8")).join("\n");
  assert.deepEqual(element.cssParts.map(({ name }) => name).sort(), [...new Set([...sources.matchAll(/part: "([a-z-]+)"/g)].map(([, name]) => name))].sort());
  assert.deepEqual(element.cssProperties.map(({ name }) => name).sort(), [...new Set([...sources.matchAll(/var\((--this-but-[a-z-]+)/g)].map(([, name]) => name))].sort());
  assert.deepEqual(element.events.map(({ name }) => name).sort(), [...new Set([...sources.matchAll(/(?:emit|new Event)\("(\w+)"/g)].map(([, name]) => name).filter((name) => name !== "device"))].sort());
});
