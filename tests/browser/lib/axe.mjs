// What axe finds wrong with a page, on desktop and phone, light and dark.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = [{ width: 1100, height: 900 }, { width: 390, height: 844 }];

/** What fades in has its colours when it is there: waits for every animation that ends. @param {any} page @returns {Promise<void>} */
export const settled = (page) =>
  page.evaluate(async () => {
    const roots = [document, ...[...document.querySelectorAll("*")].flatMap(({ shadowRoot }) => shadowRoot ?? [])];
    const ends = (/** @type {Animation} */ one) => one.playState === "running" && Number.isFinite(one.effect?.getComputedTiming().endTime);
    const fading = roots.flatMap((root) => root.getAnimations()).filter(ends);
    await Promise.allSettled(fading.map(({ finished }) => finished));
  });

/** @param {any} page @param {Record<string, { enabled: boolean }>} [rules] axe's own, set otherwise @returns {Promise<string[]>} */
export const complaints = (page, rules = {}) =>
  page
    .evaluate(async (/** @type {{ source: string, rules: object }} */ { source, rules }) => {
      /** @type {any} */
      const scope = window;
      if (!scope.axe) new Function(source)();
      const { violations } = await scope.axe.run(document, { resultTypes: ["violations"], rules });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.failureSummary}`));
    }, { source, rules })
    .catch((reason) => [String(reason)]);

/** @param {any} page @param {string} [state] what a failure is about */
export async function clean(page, state = "") {
  for (const viewport of SIZES) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(150);
      await settled(page);
      assert.deepEqual(await complaints(page), [], `${state} ${viewport.width} ${colorScheme}`);
    }
  }
}
