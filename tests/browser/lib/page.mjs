// Driving <this-but> in a test: playwright sees through the open shadow root.

import { readFile } from "node:fs/promises";

export const fixture = (name) => readFile(new URL(`../fixtures/${name}`, import.meta.url));

/** A page with the site in it; `problems` collects what it complains about. */
export async function open(browser, address, { path = "", viewport = { width: 1100, height: 900 }, workers = "block", colorScheme = "light", touch = false } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, serviceWorkers: workers, hasTouch: touch, isMobile: touch });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  page.on("console", (message) => {
    // "Failed to load resource" is what injected faults look like; a missing adapter and blocked service workers are
    // the test browser's own.
    if (message.type() === "error" && !/Failed to load resource|adapters|Service Worker/i.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  await page.goto(new URL(path, address).href);
  return { page, context, problems };
}

/** Shows that somebody is going to search: on a line that seems slow, the model waits for that. */
export const intend = (page) => page.locator("this-but input[type=text]").focus();

/** Waits until the engine is ready, or an error is shown. */
export async function ready(page, timeout = 60_000) {
  await page.waitForFunction(
    () => {
      const element = document.querySelector("this-but");
      return element.info || element.shadowRoot?.querySelector(".error")?.hidden === false;
    },
    null,
    { timeout },
  );
  if (!(await page.evaluate(() => Boolean(document.querySelector("this-but").info)))) throw new Error(`not ready: ${await message(page)}`);
}

export const message = (page) => page.locator("this-but .error").innerText();

/** The exact cause, which visitors find folded. */
export const cause = (page) => page.locator("this-but .error code").textContent();

/** Waits until an asynchronous question to the page is answered with yes. */
export async function until(page, question, timeout = 60_000) {
  const end = Date.now() + timeout;
  while (!(await page.evaluate(question))) {
    if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${question}`);
    await page.waitForTimeout(100);
  }
}

/** Waits until the service worker has everything that the page has loaded, so that it opens without a network. */
export const kept = (page) =>
  until(page, async () => {
    const all = [];
    for (const name of await caches.keys()) for (const { url } of await (await caches.open(name)).keys()) all.push(url);
    const needed = performance.getEntriesByType("resource").map(({ name }) => name).filter((url) => !/bundle.json|sw.js/.test(url));
    const own = ["cpu_bg.wasm", "cpu.js", "runtime.js", "loader/steady.js", "loader/parts.js"];
    return needed.every((url) => all.includes(url)) && own.every((path) => all.some((url) => url.includes(path)));
  });

/** A button of the error panel. */
export const way = (page, name) => page.locator("this-but .error").getByRole("button", { name });

export async function upload(page, name, mimeType, buffer) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click("this-but .slot-main")]);
  await chooser.setFiles({ name, mimeType, buffer });
}

/** Runs `act` and waits for the answer that it leads to, for a text that ends with `words`: `{hits, timings, text, reference}`. */
export async function answer(page, act, timeout = 60_000, words = "") {
  await page.evaluate(() => {
    window.answers = [];
    document.querySelector("this-but").addEventListener("results", ({ detail }) => {
      const { hits, timings, text, reference } = detail;
      window.answers.push({ hits, timings, text, reference: reference && { title: reference.title, item: reference.item } });
    });
  });
  await act();
  await page.waitForFunction((words) => window.answers.some(({ text }) => text.endsWith(words)), words, { timeout });
  return page.evaluate((words) => window.answers.findLast(({ text }) => text.endsWith(words)), words);
}

/** Fills in words and waits for the answer to exactly them, as far as the field takes them. */
export function say(page, words, timeout) {
  const taken = [...words].slice(0, 400).join("").trim();
  return answer(page, () => page.fill("this-but input[type=text]", words), timeout, taken);
}

export const titles = (page) => page.locator("this-but .tile:not(.blank) .title").allInnerTexts();

/** The site with the mock worker in another mode. */
export async function inMode(page, mode, attributes = "") {
  await page.evaluate(
    ([how, extra]) => {
      document.querySelector("this-but").remove();
      const holder = document.createElement("div");
      holder.innerHTML = `<this-but worker="worker.js?mode=${how}" ${extra}></this-but>`;
      document.querySelector("main, body").append(holder.firstChild);
    },
    [mode, attributes],
  );
}

/** The name of what has the focus. */
export const focused = (page) =>
  page.evaluate(() => {
    /** @type {any} */
    const inner = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
    return inner.getAttribute("aria-label") ?? inner.innerText ?? inner.tagName;
  });

/** Drops or pastes files and texts; `at` is where, the element by default. */
export const give = (page, event, { files = [], link = "", at = "this-but" }) =>
  page.evaluate(
    ([event, files, link, at]) => {
      const data = new DataTransfer();
      for (const { name, type, bytes } of files) data.items.add(new File([new Uint8Array(bytes)], name, { type }));
      if (link) data.setData("text/uri-list", link);
      const init = { bubbles: true, composed: true, cancelable: true };
      document.querySelector(at).dispatchEvent(event === "paste" ? new ClipboardEvent("paste", { ...init, clipboardData: data }) : new DragEvent(event, { ...init, dataTransfer: data }));
    },
    /** @type {any} */ ([event, files, link, at]),
  );
