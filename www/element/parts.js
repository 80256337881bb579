// Parts of the element that most visits do not need: fetched when they are asked for.

import { en } from "./languages/en.js";

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
export const sentences = () => later(import("./later/words-errors.js"), ({ table }) => void Object.assign(en, table));

/** A closer look at a picture. @param {Search} search @param {Item} item @param {?number} rank of a match */
export const look = (search, item, rank) => later(worded(import("./later/peek.js")), ({ look }) => search.view && look(search, item, rank));

/** A part of the reference. @param {Search} search */
export const crop = (search) => later(worded(import("./later/crop.js")), ({ crop }) => search.view && crop(search));

/** "How it works", if it is open: with the numbers of the present search. @param {Search} search */
export const explain = (search) => search.view?.how.open && later(worded(import("./later/how.js")), ({ explain }) => search.view && explain(search));

/** Keeps the search in the page's address, and goes where that leads. @param {Search} search */
export function route(search) {
  const fresh = !search.used;
  search.routing ??= later(import("./later/address.js"), (address) => {
    search.address = address;
    if (search.view && fresh) address.travel(search, history.state);
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
export function folder(search) {
  const { view } = search;
  return later(import("./later/own.js"), ({ offer }) => view === search.view && offer(search));
}

/** What counted. @param {Search} search */
export const why = (search) => later(worded(import("./later/why.js")), ({ why }) => search.view && why(search));

/** The bundle's examples, in their place. @param {Search} search */
export const examples = (search) => later(import("./later/examples.js"), ({ examples }) => search.view && examples(search));

/** Opens or closes the finer questions. @param {Search} search */
export function refine(search) {
  const { finer, panel } = search.view;
  panel.hidden = !panel.hidden;
  finer.setAttribute("aria-expanded", String(!panel.hidden));
  return refined(search);
}

/** The finer questions about the present step, if they are open. @param {Search} search */
export const refined = (search) => !search.view?.panel.hidden && later(worded(import("./later/refine.js")), ({ refined }) => search.view && refined(search));
