// The words of a search: typed, submitted, taken from a suggestion or let go of.

/** @import { Search } from "./search.js" */

/** Longest modifier that is used; the model reads about thirty words of it. */
export const TEXT_LIMIT = 400;
/** ms without a key after which the words are searched for. */
const TYPING_PAUSE = 280;

/** @param {Search} search */
export function typed(search) {
  const { view, t, steps } = search;
  const raw = view.input.value;
  const cut = [...raw].length > TEXT_LIMIT;
  view.note.textContent = cut ? t("cut", { n: TEXT_LIMIT }) : "";
  const draft = (cut ? [...raw].slice(0, TEXT_LIMIT).join("") : raw).trim();
  clearTimeout(search.timer);
  if (draft === search.step.draft) return;
  steps.edit(search.step.tokens, draft);
  search.host.entered();
  search.timer = setTimeout(() => search.run(), TYPING_PAUSE);
}

/** @param {Search} search */
export function submit(search) {
  clearTimeout(search.timer);
  if (!search.step.hits || search.steps.stale) search.run();
  search.steps.settle();
  // The answer, and not the keyboard, is what is wanted now.
  if (matchMedia("(pointer: coarse)").matches) search.view.input.blur();
}

/**
 * Takes a suggestion, or lets go of it. Changes of one image add up; without an image one takes the other's place.
 * @param {Search} search
 * @param {string} text
 */
export function toggle(search, text) {
  clearTimeout(search.timer);
  const { steps } = search;
  const { tokens, draft, reference } = search.step;
  const has = tokens.includes(text);
  const rest = reference ? tokens.filter((one) => one !== text) : [];
  const next = reference || has ? draft : "";
  steps.settle();
  steps.edit(has ? rest : [...rest, text], next);
  steps.settle();
  search.view.input.value = next;
  search.run();
}

/**
 * A key in the field: Escape empties it, the arrow leads to the pictures, Backspace lets go of the last change.
 * @param {Search} search
 * @param {KeyboardEvent} event
 */
export function key(search, event) {
  const { input, grid } = search.view;
  const { tokens } = search.step;
  if (event.isComposing) return;
  if (event.key === "ArrowDown" && grid.items.length) grid.enter();
  else if (event.key === "Backspace" && !input.value && tokens.length) toggle(search, tokens[tokens.length - 1]);
  else if (event.key === "Escape" && input.value) {
    input.value = "";
    typed(search);
  } else return;
  event.preventDefault();
}
