// What the element says about the present step: everything but the pictures themselves.

import { h, icon } from "./dom.js";
import { bare, describe, suggest } from "./suggest.js";

/** @import { Info, Reference, Step, Suggestion, Translate } from "../types.js" */
/** @import { View } from "./view.js" */

/** Texts that are offered, and so few of an image's own that the bundle's join them. */
const OFFERED = 6;
const FEW = 3;

/**
 * The texts to offer with an image. They depend on it alone, so that they stay where they are while words are chosen.
 * @param {Reference} reference
 * @param {?Suggestion[]} pages the page's own, which go before everything else
 * @param {Suggestion[] | undefined} bundles
 */
export function offered(reference, pages, bundles) {
  const about = reference.about ?? reference;
  const own = pages ? [] : (reference.about?.changes ?? []);
  const more = own.length < FEW ? suggest(pages ?? bundles, describe(about), OFFERED) : [];
  return [...new Set([...own, ...more])].slice(0, OFFERED);
}

/**
 * Puts the chips in, or only presses those that are chosen where the same are there already.
 * @param {HTMLElement} node
 * @param {string[]} texts
 * @param {(text: string) => boolean} chosen
 * @param {(text: string) => void} say
 */
export function chips(node, texts, chosen, say) {
  const there = /** @type {HTMLElement[]} */ ([...node.children]);
  const same = there.length === texts.length && texts.every((text, at) => there[at].textContent === text);
  if (!same) {
    node.replaceChildren(...texts.map((text) => h("button.chip", { type: "button", part: "suggestion", onclick: () => say(text) }, text)));
  }
  for (const [at, text] of texts.entries()) node.children[at].setAttribute("aria-pressed", String(chosen(text)));
}

/**
 * The words that were taken, each with a way to let go of it.
 * @param {View} view
 * @param {Translate} t
 * @param {string[]} tokens
 * @param {(text: string) => void} drop
 */
export function tokens({ tokens: node }, t, tokens, drop) {
  const there = [...node.children].map((one) => one.textContent);
  if (there.length === tokens.length && there.every((text, at) => text === bare(tokens[at]))) return;
  node.replaceChildren(
    ...tokens.map((text) => h("button.token", { type: "button", part: "token", "aria-label": t("token", { text }), title: t("token", { text }), onclick: () => drop(text) }, bare(text), icon("close"))),
  );
}

/**
 * @param {View} view
 * @param {Translate} t
 * @param {{step: Step, words: string, browsing: boolean, info: ?Info, facts: ?{words: boolean}, blanks: number, hint: string}} state facts: those of `info`, or what is known before; blanks: grey tiles while nothing is there yet
 */
export function paint(view, t, { step, words, browsing, info, facts, blanks, hint }) {
  const { slot, label, input, scores, shuffle, link, moreRow, out, grid, pin } = view;
  const { reference, hits } = step;
  slot.show(reference);
  label.textContent = t(reference ? "fieldLabel" : "fieldLabelText");
  input.placeholder = step.tokens.length ? t("placeholderMore") : reference ? hint || t("placeholder") : t(facts?.words === false ? "placeholderFirst" : "placeholderText");
  const said = browsing ? (words ? t("pickFor", { text: bare(words) }) : t("pick")) : !reference ? t("resultsText", { text: words }) : words ? t("resultsBut", { text: bare(words) }) : t("resultsSimilar");
  const far = Boolean(step.far && hits && !browsing);
  heading(view, t, browsing ? said : t(far ? "nothingClose" : words ? "resultsBest" : "resultsSimilar"), browsing || far ? null : info);
  view.far.hidden = !far;
  view.far.textContent = far ? [info?.understands && t("understands", { what: info.understands }), t("nearest")].filter(Boolean).join(" ") : "";
  grid.node.setAttribute("aria-label", said);
  scores.hidden = view.finer.hidden = browsing || !hits;
  view.why.hidden = browsing || !hits || !reference || !words || !info?.why;
  if (browsing) view.panel.hidden = true;
  link.hidden = browsing || !hits;
  shuffle.hidden = !browsing || !hits;
  out.classList.toggle("ranked", !browsing);
  pin.picture.replaceChildren(reference ? h("img", { src: reference.image, alt: "" }) : icon("image"));
  pin.words.textContent = bare(words) || "…";
  if (!hits && !grid.items.length) grid.wait(blanks);
  if (!hits) moreRow.hidden = true;
}

/**
 * @param {View} view
 * @param {Translate} t
 * @param {string} words
 * @param {?Info} info where the results are counted
 */
export function heading({ heading, grid }, t, words, info) {
  heading.textContent = words;
  if (info && grid.shown) heading.append(h("small", {}, t("count", { n: grid.shown, total: info.count })));
}
