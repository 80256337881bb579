// A search in the page's address: Back, reload and a copied link lead to it. An uploaded picture stays on the device, so the
// address only says that there was one.

/** @import { Step, Translate } from "../types.js" */
/** @import { View } from "./view.js" */

/** Tells steps of this visit from those of an earlier one: their numbers begin anew. */
const visit = Math.random().toString(36).slice(2);

/** What an address says. @typedef {{item: number | null, own: boolean, tokens: string[], draft: string}} Place */

/**
 * @param {string} hash
 * @returns {?Place}
 */
export function read(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const [from, tokens, draft] = [said.get("from"), said.getAll("but"), said.get("words") ?? ""];
  if (from === null && !tokens.length && !draft) return null;
  const item = /^\d{1,9}$/.test(from ?? "") ? Number(from) : null;
  return { item, own: from === "own", tokens: tokens.slice(0, 12).map((one) => one.slice(0, 200)), draft: draft.slice(0, 400) };
}

/** @param {Step} step */
function hashOf({ reference, tokens, draft }) {
  const said = new URLSearchParams();
  if (reference) said.set("from", reference.item === undefined || reference.about?.own ? "own" : String(reference.item));
  for (const token of tokens) said.append("but", token);
  if (draft) said.set("words", draft);
  return String(said) ? `#${said}` : "";
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
