// Parts of the element that most visits do not need: fetched when they are asked for.

import { en } from "./languages/en.js";
import { fromItem } from "./reference.js";

/** @import { Item } from "../types.js" */
/** @import { Search } from "./search.js" */

/**
 * Runs `use` with a part; where its file is missing, the search goes on without it.
 * @template Part
 * @param {Promise<Part>} part
 * @param {(part: Part) => void} use
 */
async function later(part, use) {
  let there;
  try {
    there = await part;
  } catch (reason) {
    console.error("this-but: a file of element/later/ could not be loaded:", reason);
    return;
  }
  use(there);
}

/** A part with its sentences. @template Part @param {Promise<Part>} part */
async function worded(part) {
  const [there, { table }] = await Promise.all([part, import("./later/words.js")]);
  Object.assign(en, table);
  return there;
}

/** The sentences about what seldom goes wrong. */
export const sentences = () => later(import("./later/words.errors.js"), ({ table }) => void Object.assign(en, table));

/** A closer look at a picture. @param {Search} search @param {Item} item @param {?number} rank of a match */
export function look(search, item, rank) {
  return later(worded(import("./later/peek.js")), ({ show }) => {
    if (!search.view) return;
    const pick = (/** @type {Item} */ item) => search.pick(item, false);
    const { refined, reference } = search.step;
    // A second image: something between the two.
    const add = () => {
      refined.also = [...refined.also, fromItem(item)];
      if (search.view.panel.hidden) refine(search);
      search.run();
    };
    show(search.view.peek, { t: search.t, item, reference, rank, pick, add: reference && refined.also.length < 3 ? add : null });
  });
}

/** Each view's explanation. @type {WeakMap<HTMLElement, import("./later/how.js").How>} */
const explained = new WeakMap();

/** "How it works", if it is open: with the numbers of the present search. @param {Search} search */
export function explain(search) {
  if (!search.view?.how.open) return;
  return later(worded(import("./later/how.js")), ({ How }) => {
    const { view, t, info, step, steps, client } = search;
    if (!view) return;
    const tryGpu = () => search.client.measure().catch(() => {});
    const how = explained.get(view.how) ?? new How({ t, node: view.how, tryGpu });
    explained.set(view.how, how);
    how.show({ info, step, words: steps.text, trial: client?.trialBytes ?? 0 });
  });
}

/** Keeps the search in the page's address, and goes where that leads. @param {Search} search */
export function route(search) {
  search.routing ??= later(import("./later/address.js"), (address) => {
    search.address = address;
    if (search.view && !search.used) address.travel(search, history.state);
  });
}

/** To what a form has kept. @param {Search} search @param {string} state */
export const restore = (search, state) =>
  later(import("./later/address.js"), (address) => {
    search.address = address;
    if (search.view) address.lead(search, address.read(state));
  });

/** The page's address, to the clipboard. @param {Search} search */
export const copyLink = (search) => later(import("./later/address.js"), ({ copy }) => copy(search.view, search.t));

/** Windows a long answer. @param {import("./grid.js").Grid} grid */
export const crowd = (grid) =>
  later(import("./later/many.js"), ({ Many }) => {
    if (grid.many || !grid.node.isConnected) return;
    grid.many = new Many(grid);
    grid.update();
  });

/** The way to the visitor's own folder, where the page offers it. @param {Search} search */
export const folder = (search) => later(import("./later/own.js"), ({ offer }) => search.view && offer(search));

/** The bundle's examples, in their place. @param {Search} search @param {(example: import("../types.js").Example) => void} play */
export function examples(search, play) {
  return later(import("./later/examples.js"), ({ show }) => {
    if (search.view && search.opening) show(search.view.tries, { t: search.t, examples: search.opening.examples, play });
  });
}

/** Opens or closes the finer questions. @param {Search} search */
export function refine(search) {
  const { finer, panel } = search.view;
  panel.hidden = !panel.hidden;
  finer.setAttribute("aria-expanded", String(!panel.hidden));
  return refined(search);
}

/** The finer questions about the present step, if they are open. @param {Search} search */
export function refined(search) {
  if (!search.view || search.view.panel.hidden) return;
  return later(worded(import("./later/refine.js")), ({ show }) => {
    const { view, t, info, step, steps } = search;
    if (!view) return;
    const { reference, refined } = step;
    const answer = () => ({ reference, text: steps.text, refined, hits: search.host.hits });
    const change = (/** @type {Partial<import("../types.js").Refined>} */ to) => {
      Object.assign(refined, to);
      search.run();
    };
    show(view.panel, { t, refined, both: Boolean(reference && steps.text), facets: info?.facets?.slice(0, 12) ?? [], change, answer });
  });
}
