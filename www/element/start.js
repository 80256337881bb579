// The first view: what the bundle shows without its model, and when the model is fetched.

import { allowed } from "./opening.js";
import { examples } from "./parts.js";

/** @import { Search } from "./search.js" */

/**
 * Bytes that would be fetched, and what somebody's agreement does.
 * @typedef {{bytes: number, agree: () => void, given: Promise<void>}} Consent
 */

/** Whether the visitor has asked sites to save data. */
export const saves = () => Boolean(/** @type {any} */ (navigator).connection?.saveData);

/** ms that pictures have before the line is judged by them. */
const LOOK = 1500;

/** A quiet moment; browsers without such a thing wait a little. */
const idle = () => new Promise((done) => (globalThis.requestIdleCallback ?? ((/** @type {() => void} */ run) => setTimeout(run, 200)))(() => done(null), { timeout: 2000 }));

/** The pictures that are on their way, or a while. @param {HTMLElement} node */
async function pictures(node) {
  const all = [...node.querySelectorAll("img")].filter((image) => image.checkVisibility?.() ?? true);
  const here = all.map((image) => image.decode().catch(() => {}));
  await Promise.race([Promise.all(here), new Promise((done) => setTimeout(done, LOOK))]);
}

/**
 * The element is in sight: shows the bundle's opening, and fetches the model where it may come by itself.
 * @param {Search} search
 * @returns {Promise<void>}
 */
export async function open(search) {
  const { client } = search;
  if (search.used || !client) return;
  const [opening] = await Promise.all([client.opening(), search.routing]);
  const still = () => client === search.client && !search.used;
  if (search.client && client !== search.client) return open(search);
  search.settled = true;
  if (!still()) return;
  // A place that the page's address names needs the model.
  if (!opening || search.place || search.steps.text || search.step.reference) return search.begin();
  await lay(search, opening);
  await pictures(search.view.out.parentElement ?? search.view.out);
  const way = await allowed(opening);
  if (!still()) return;
  if (way === "now") {
    await idle();
    if (still()) search.begin();
  } else if (way === "told") ask(search, opening.bytes);
}

/** @param {Search} search @param {import("../types.js").Opening} opening */
async function lay(search, opening) {
  search.opening = opening;
  if (!opening.upload) search.close();
  // Pictures and examples come in one piece: nothing moves.
  await show(search);
  if (search.step.hits || search.used) return search.render();
  search.offer(opening.items, opening.total, opening.words);
}

/** Nothing is fetched before a visitor has agreed to it. @param {Search} search @param {number} bytes */
function ask(search, bytes) {
  /** @type {() => void} */
  let give = () => {};
  const given = /** @type {Promise<void>} */ (new Promise((done) => (give = done)));
  const agree = () => {
    search.consent = null;
    give();
    search.begin();
  };
  search.consent = { bytes, agree, given };
  search.view.progress.ask(search.consent);
}

/** What the opening brings into a view that has none of it yet. @param {Search} search */
export async function show(search) {
  if (search.consent) search.view.progress.ask(search.consent);
  if (search.opening?.examples.length) await examples(search);
}
