// What the element says about the present step: everything but the pictures themselves.

import { h } from "./dom.js";
import { bare, describe, suggest } from "./suggest.js";

/** @import { Info, Reference, Step, Suggestion, Translate } from "../types.js" */

const known = (/** @type {?Reference} */ reference) => describe(reference?.about ?? reference);

/**
 * The texts to offer at a step.
 * @param {Step} step
 * @param {Suggestion[] | undefined} suggestions the bundle's
 * @param {string[]} examples what can be looked for without an image
 */
export function chips({ reference, text }, suggestions, examples) {
  const fitting = reference ? suggest(suggestions, known(reference), 7) : examples;
  return fitting.filter((one) => one.toLowerCase() !== text.toLowerCase()).slice(0, 6);
}

/**
 * @param {import("./view.js").View} view
 * @param {Translate} t
 * @param {{steps: import("./steps.js").Steps, info: ?Info, blanks: number}} state blanks: grey tiles while nothing is there yet
 */
export function paint(view, t, { steps, info, blanks }) {
  const { slot, trail, label, input, heading, scores, shuffle, moreRow, out, grid } = view;
  const { reference, text, hits } = steps.current;
  const { browsing } = steps;
  slot.show(reference);
  trail.show(steps.list, steps.now);
  label.textContent = t(reference ? "fieldLabel" : "fieldLabelText");
  input.placeholder = reference ? (suggest(info?.suggestions, known(reference), 1)[0] ?? t("placeholder")) : t("placeholderText");
  const words = browsing ? t("pick") : !reference ? t("resultsText", { text }) : text ? t("resultsBut", { text: bare(text) }) : t("resultsSimilar");
  heading.textContent = words;
  if (!browsing && info && hits) heading.append(h("small", {}, t("count", { n: hits.length, total: info.count })));
  grid.node.setAttribute("aria-label", words);
  scores.hidden = browsing;
  shuffle.hidden = !browsing || !hits;
  out.classList.toggle("ranked", !browsing);
  out.hidden = false;
  if (!hits && !grid.items.length) grid.wait(blanks);
  if (!hits) moreRow.hidden = true;
}
