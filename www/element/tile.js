// One picture of a grid: the picture, its title with the words that differ marked, its score, and on the best match the
// reference to hold against it. A page may put its own content below the picture.

import { h, icon } from "./dom.js";
import { FILLER } from "./suggest.js";

/** @import { Item, RenderItem, Translate } from "../types.js" */

const words = (/** @type {string} */ text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/**
 * A title in pieces, those that differ marked: words that the reference's title has not, or, for an image without a title
 * of the gallery, words that were asked for.
 * @param {string} title
 * @param {{from: string, text: string}} about the reference's title and the words of the search
 * @returns {(Node | string)[]}
 */
export function marked(title, { from, text }) {
  const own = words(title);
  const [old, asked] = [new Set(words(from)), new Set(words(text))];
  const shares = own.some((word) => old.has(word));
  const differs = (/** @type {string} */ word) => !FILLER.has(word) && (shares ? !old.has(word) : !from && asked.has(word));
  if (!own.some(differs)) return [title];
  return title.split(/([\p{L}\p{N}]+)/u).filter(Boolean).map((piece) => (words(piece).some(differs) ? h("mark", {}, piece) : piece));
}

/** What of a tile takes the focus: the option itself, or, where the page's own links stand beside it, its picture. @param {HTMLElement} node */
export const stop = (node) => /** @type {HTMLElement} */ (node.getAttribute("role") === "listitem" ? node.firstElementChild : node);

export class Tile {
  /**
   * @param {Item} item
   * @param {{t: Translate, hint: string}} options
   */
  constructor(item, { t, hint }) {
    this.item = item;
    this.image = h("img", { alt: "", loading: "lazy", decoding: "async", draggable: false });
    this.image.addEventListener("load", () => this.image.classList.add("seen"), { once: true });
    // A picture that cannot be had (offline, say) leaves its title in its place.
    this.image.addEventListener("error", () => this.frame.classList.add("gone"));
    this.image.src = item.image;
    this.was = h("span.was", { "aria-hidden": "true", title: t("compare"), hidden: true });
    this.frame = h(
      "div.frame",
      { part: "tile-image" },
      h("span.name", { "aria-hidden": "true" }, item.title),
      this.image,
      h("span.hint", { "aria-hidden": "true" }, hint),
      this.was,
      h("span.look", { "aria-hidden": "true", title: t("look") }, icon("look")),
    );
    this.title = h("span.title", { part: "tile-title" });
    this.score = h("b");
    this.own = h("div.own");
    this.node = h(
      "div.tile",
      { part: "tile", "data-index": item.index },
      this.frame,
      this.title,
      " ",
      h("span.score", { part: "score" }, h("i"), this.score),
    );
  }

  /**
   * @param {Item} item
   * @param {{rank: number, size: number, scores: boolean, from: string, text: string, render: ?RenderItem, reference: ?string}} how
   */
  update(item, { rank, size, scores, from, text, render, reference }) {
    this.item = item;
    const score = item.score === undefined ? "" : item.score.toFixed(3);
    const { node } = this;
    this.play(render ? "listitem" : "option");
    node.setAttribute("aria-posinset", String(rank + 1));
    node.setAttribute("aria-setsize", String(size));
    node.classList.toggle("first", rank === 0);
    this.score.textContent = score;
    node.style.setProperty("--fill", Math.max(0, Math.min(1, item.score ?? 0)).toFixed(3));
    const own = render?.(item, { rank });
    if (own) this.title.replaceChildren(own);
    else this.title.replaceChildren(...(item.score === undefined ? [item.title] : marked(item.title, { from, text })));
    // What is read out holds what is seen.
    const name = (own && this.title.textContent?.trim()) || item.title;
    stop(node).setAttribute("aria-label", score && scores ? `${name} ${score}` : name);
    this.compare(rank === 0 && item.score !== undefined ? reference : null);
  }

  /** Options hold no links: where a page puts in its own content, a tile is an item of a list, and its picture the button. @param {string} role */
  play(role) {
    const { node, frame } = this;
    if (node.getAttribute("role") === role) return;
    const { tabIndex } = stop(node);
    for (const one of [node, frame]) for (const name of ["role", "tabindex", "aria-label", "aria-selected"]) one.removeAttribute(name);
    node.setAttribute("role", role);
    if (role === "listitem") frame.setAttribute("role", "button");
    stop(node).tabIndex = tabIndex;
  }

  /** The reference in a corner; held, it lies over the match. @param {?string} reference its picture */
  compare(reference) {
    this.was.hidden = !reference;
    this.was.replaceChildren(...(reference ? [h("img", { src: reference, alt: "", draggable: false })] : []));
  }
}
