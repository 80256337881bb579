// What the test files of the element share: one browser and one site for a file, a fresh page for each test, which complains of
// nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mockSite } from "../mock/site.mjs";
import { launch } from "./browser.mjs";
import { open } from "./page.mjs";

/** @typedef {Awaited<ReturnType<typeof mockSite>>} Site */
/** @typedef {{context: import("playwright-core").BrowserContext, problems: string[], site: Site, browser: import("playwright-core").Browser, t: any}} Around */

/**
 * @param {object} [how]
 * @param {() => Promise<Site>} [how.serve] the site; the one with the mock engine
 * @param {number} [how.timeout] ms of a test
 * @param {(page: any) => Promise<unknown>} [how.first] what every test begins with
 * @returns {{here: {site: Site, browser: import("playwright-core").Browser}, on: (name: string, options: object, run: (page: any, around: Around) => Promise<unknown>) => void}} `here` is filled
 *   before the first test; `on` declares one
 */
export function suite({ serve = mockSite, timeout = 300_000, first = async () => {} } = {}) {
  const here = /** @type {any} */ ({});
  before(async () => {
    [here.browser, here.site] = await Promise.all([launch(), serve()]);
  });
  after(async () => {
    await here.browser?.close();
    await here.site?.close();
  });
  const on = (name, options, run) =>
    test(name, { timeout }, async (t) => {
      here.site.state.fault = null;
      const { page, context, problems } = await open(here.browser, here.site.address, options);
      try {
        await first(page);
        await run(page, { context, problems, ...here, t });
        assert.deepEqual(problems, []);
      } finally {
        await context.close();
      }
    });
  return { here, on };
}
