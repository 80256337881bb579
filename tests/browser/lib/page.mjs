// Driving <this-but> in a test: playwright sees through the open shadow root.

import { readFile } from "node:fs/promises";

export const fixture = (name) => readFile(new URL(`../fixtures/${name}`, import.meta.url));

/** A page with the site in it; `problems` collects what it complains about. */
export async function open(browser, address, { path = "", viewport = { width: 1100, height: 900 }, workers = "block", colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, serviceWorkers: workers });
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

/** Waits until the engine is ready, or an error is shown. */
export async function ready(page, timeout = 60_000) {
  await page.waitForFunction(
    () => {
      const element = document.querySelector("this-but");
      return element.info || !element.shadowRoot.querySelector(".error").hidden;
    },
    null,
    { timeout },
  );
  if (!(await page.evaluate(() => Boolean(document.querySelector("this-but").info)))) throw new Error(`not ready: ${await message(page)}`);
}

export const message = (page) => page.locator("this-but .error").innerText();

/** A button of the error panel. */
export const way = (page, name) => page.locator("this-but .error").getByRole("button", { name });

export async function upload(page, name, mimeType, buffer) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click("this-but .slot-main")]);
  await chooser.setFiles({ name, mimeType, buffer });
}

/** Runs `act` and waits for the answer that it leads to: `{hits, timings, text, reference}`. */
export async function answer(page, act, timeout = 60_000) {
  await page.evaluate(() => {
    window.answers = [];
    document.querySelector("this-but").addEventListener("results", ({ detail }) => {
      const { hits, timings, text, reference } = detail;
      window.answers.push({ hits, timings, text, reference: reference && { title: reference.title, item: reference.item } });
    });
  });
  await act();
  await page.waitForFunction(() => window.answers.length, null, { timeout });
  return page.evaluate(() => window.answers.at(-1));
}

/** Fills in words and waits for the answer to exactly them. */
export function say(page, words, timeout) {
  return answer(page, () => page.fill("this-but input[type=text]", words), timeout);
}

export const titles = (page) => page.locator("this-but [role=option] .title").allInnerTexts();
