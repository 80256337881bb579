// A search in the page's address: Back, reload and a copied link lead to it, and to what is asked finely. An uploaded picture stays
// on the device, so the address only says that there was one. Fetched where a page keeps searches in its address.

import { fromItem } from "../reference.js";
import { plain } from "../steps.js";

/** @import { Item, Reference, Step, Translate } from "../../types.js" */
/** @import { Search } from "../search.js" */
/** @import { View } from "../view.js" */

/** Tells steps of this visit from those of an earlier one: their numbers begin anew. */
const visit = Math.random().toString(36).slice(2);

/**
 * What an address says. `also`: numbers of the images that were added.
 * @typedef {{item: number | null, own: boolean, tokens: string[], draft: string, without: string[], balance: number, only: string[], also: number[]}} Place
 */

/** At most so many words of each kind, and so many letters of each. */
const [MANY, LONG] = [12, 200];

const isNumber = (/** @type {?string} */ text) => /^\d{1,9}$/.test(text ?? "");

/**
 * @param {string} hash
 * @returns {?Place}
 */
export function read(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const [from, draft] = [said.get("from"), said.get("words") ?? ""];
  const some = (/** @type {string} */ name, most = MANY) => said.getAll(name).slice(0, most).map((one) => one.slice(0, LONG));
  const tokens = some("but");
  if (from === null && !tokens.length && !draft) return null;
  const item = isNumber(from) ? Number(from) : null;
  const weight = Number(said.get("weight") ?? "50");
  const balance = weight >= 0 && weight <= 100 ? weight / 100 : 0.5;
  return { item, own: from === "own", tokens, draft: draft.slice(0, 400), without: some("not", 4), balance, only: some("only"), also: some("with", 3).filter(isNumber).map(Number) };
}

/** A picture of the visitor's own has no place in an address. @param {Reference} reference */
const place = ({ item, about }) => (item === undefined || about?.own ? "own" : String(item));

/** @param {Step} step */
export function hashOf({ reference, tokens, draft, refined: { without, balance, only, also } }) {
  const said = new URLSearchParams();
  const all = (/** @type {string} */ name, /** @type {string[]} */ texts) => texts.forEach((text) => said.append(name, text));
  if (reference) said.set("from", place(reference));
  all("but", tokens);
  if (draft) said.set("words", draft);
  // Fine questions are about images or words; without any there is nothing to ask.
  if (!String(said)) return "";
  all("not", without);
  if (balance !== 0.5) said.set("weight", String(Math.round(balance * 100)));
  all("with", also.map(place).filter(isNumber));
  all("only", only);
  return `#${said}`;
}

/** The number of the step that this place of the history is of, if it is one of this visit. @param {any} state */
export const stepIn = (state) => (state?.thisbut?.visit === visit ? /** @type {number} */ (state.thisbut.step) : null);

/**
 * Puts an answered step into the address: a new step is a new place, other words for the same step are not.
 * @param {Step} step
 */
export function write(step) {
  const address = location.pathname + location.search + hashOf(step);
  const before = stepIn(history.state);
  const state = { ...history.state, thisbut: { visit, step: step.id } };
  try {
    if (before === step.id || (before === null && read(location.hash) === null && !hashOf(step))) history.replaceState(state, "", address);
    else if (before === null && address === location.pathname + location.search + location.hash) history.replaceState(state, "", address);
    else history.pushState(state, "", address);
  } catch {
    // Sandboxed frames and pages that are files have no history to write to.
  }
}

/** The page's address, to the clipboard. @param {View} view @param {Translate} t */
export async function copy(view, t) {
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  const said = /** @type {HTMLElement} */ (view.link.lastChild);
  said.textContent = t("copied");
  view.live.say(t("copied"));
  setTimeout(() => (said.textContent = t("copyLink")), 2000);
}

/**
 * The page's address has changed (Back, Forward, a link), or the element is new in it.
 * @param {Search} search
 * @param {any} state of the history
 */
export function travel(search, state) {
  const { steps } = search;
  const id = stepIn(state);
  const position = steps.list.findIndex((step) => step.id === id);
  if (position >= 0) return search.back(position);
  const place = read(location.hash);
  // A link to a place of the page itself is none of the search's.
  if (place || !location.hash) lead(search, place);
}

/** To a place; what is there takes its room. @param {Search} search @param {?Place} place */
export function lead(search, place) {
  const { steps } = search;
  search.leave();
  if (steps.list.length > 1 || search.step.answered !== null) steps.reset();
  steps.edit(place?.tokens ?? [], place?.draft ?? "");
  search.step.refined = plain();
  search.place = place;
  search.view.input.value = search.step.draft;
  if (search.used) search.run();
}

/**
 * To the step that the place names, once the engine is there; what was typed meanwhile stays, what was chosen wins.
 * @param {Search} search
 * @param {() => void} still throws when this is not wanted any longer
 */
export async function arrive(search, still) {
  const { place, steps, view } = search;
  if (!place) return;
  const items = await itemsOf(search, [place.item, ...place.also]);
  still();
  search.place = null;
  const [item, ...also] = items;
  if (item) steps.put(fromItem(item), search.step.tokens, search.step.draft);
  else if (place.own) view.note.textContent = search.t("ownGone");
  const { without, balance, only } = place;
  Object.assign(search.step.refined, { without, balance, only, also: also.flatMap((one) => (one ? [fromItem(one)] : [])) });
  // What is asked is to be seen.
  if (view.panel.hidden && (without.length || balance !== 0.5 || only.length || also.length)) view.finer.click();
  search.render();
}

/** @param {Search} search @param {(number | null)[]} numbers @returns {Promise<(Item | null)[]>} */
async function itemsOf({ client }, numbers) {
  const items = [];
  for (const number of numbers) items.push(number === null ? null : await client.item(number));
  return items;
}
