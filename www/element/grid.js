// A listbox of pictures: results and the starting choice. Tiles keep their identity between searches, so that a new
// ranking is seen as movement. One tab stop, arrow keys inside.

import { calm, h } from "./dom.js";

/** @import { Item } from "../types.js" */

const MOVE = { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" };

/**
 * The tile that an event is in.
 * @param {Event} event
 * @returns {?HTMLElement}
 */
const option = ({ target }) => /** @type {Element} */ (target).closest("[role=option]");

export class Grid {
  /**
   * @param {{label: string, pick: (item: Item, typing: boolean) => void, hint: string, part: string}} options
   */
  constructor({ label, pick, hint, part }) {
    this.pick = pick;
    this.hint = hint;
    /** @type {Map<number, HTMLElement>} */
    this.tiles = new Map();
    /** @type {Item[]} */
    this.items = [];
    this.scores = false;
    this.node = h("div.grid", { role: "listbox", "aria-label": label, part });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("click", (event) => {
      const tile = option(event);
      if (tile) this.choose(tile, matchMedia("(pointer: fine)").matches);
    });
    this.node.addEventListener("focusin", (event) => this.rove(option(event)));
  }

  get options() {
    const nodes = /** @type {HTMLElement[]} */ ([...this.node.children]);
    return nodes.filter((node) => node.getAttribute("role") === "option");
  }

  /**
   * `typing`: the words are likely to be typed next, so the field may take the focus without a keyboard jumping up.
   * @param {HTMLElement} tile
   * @param {boolean} typing
   */
  choose(tile, typing) {
    const item = this.items.find((one) => one.index === Number(tile.dataset.index));
    if (item) this.pick(item, typing);
  }

  /** @param {Item[]} items */
  show(items) {
    const before = new Map([...this.tiles].map(([index, tile]) => [index, tile.getBoundingClientRect()]));
    const focused = this.node.contains(/** @type {ShadowRoot} */ (this.node.getRootNode()).activeElement);
    this.items = items;
    const next = new Map();
    for (const [rank, item] of items.entries()) {
      const tile = this.tiles.get(item.index) ?? this.tile(item);
      this.update(tile, item, rank);
      next.set(item.index, tile);
    }
    this.node.replaceChildren(...next.values());
    this.tiles = next;
    const first = this.options[0];
    if (first) this.rove(first);
    if (focused) first?.focus();
    if (!calm()) this.animate(before);
  }

  /** Moves the focus to the first picture, or the one that was left. */
  enter() {
    const tile = this.options.find(({ tabIndex }) => tabIndex === 0);
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  /**
   * Grey tiles while the first answer is on its way.
   * @param {number} count
   */
  wait(count) {
    this.tiles.clear();
    this.items = [];
    this.node.replaceChildren(
      ...Array.from({ length: count }, () => h("div.tile.blank", { "aria-hidden": "true" }, h("div.frame"))),
    );
  }

  /** @param {Item} item */
  tile(item) {
    const image = h("img", { alt: "", loading: "lazy", decoding: "async", draggable: false });
    image.addEventListener("load", () => image.classList.add("seen"), { once: true });
    image.addEventListener("error", () => image.classList.add("gone"));
    image.src = item.image;
    const frame = h("div.frame", { part: "tile-image" }, image, h("span.hint", { "aria-hidden": "true" }, this.hint));
    return h(
      "div.tile",
      { role: "option", part: "tile", tabindex: "-1", "aria-selected": "false", "data-index": item.index },
      frame,
      h("span.title", { part: "tile-title" }, item.title),
      h("span.score", { part: "score" }, h("i"), h("b")),
    );
  }

  /** @param {HTMLElement} tile @param {Item} item @param {number} rank */
  update(tile, item, rank) {
    const score = item.score === undefined ? "" : item.score.toFixed(3);
    tile.setAttribute("aria-label", score && this.scores ? `${item.title}, ${score}` : item.title);
    tile.setAttribute("aria-posinset", String(rank + 1));
    tile.setAttribute("aria-setsize", String(this.items.length));
    tile.classList.toggle("first", rank === 0);
    /** @type {HTMLElement} */ (tile.querySelector(".score b")).textContent = score;
    tile.style.setProperty("--fill", Math.max(0, Math.min(1, item.score ?? 0)).toFixed(3));
  }

  /** @param {boolean} on */
  setScores(on) {
    this.scores = on;
    this.node.classList.toggle("scored", on);
    for (const [rank, item] of this.items.entries()) {
      const tile = this.tiles.get(item.index);
      if (tile) this.update(tile, item, rank);
    }
  }

  /** @param {Map<number, DOMRect>} before */
  animate(before) {
    let fresh = 0;
    for (const [index, tile] of this.tiles) {
      const old = before.get(index);
      if (!old) {
        const delay = Math.min(fresh++, 14) * 22;
        tile.animate(
          [
            { opacity: 0, transform: "translateY(10px) scale(.96)" },
            { opacity: 1, transform: "none" },
          ],
          { ...MOVE, delay, fill: "backwards" },
        );
        continue;
      }
      const now = tile.getBoundingClientRect();
      const [dx, dy] = [old.left - now.left, old.top - now.top];
      const scale = now.width ? old.width / now.width : 1;
      if (!dx && !dy && scale === 1) continue;
      tile.animate(
        [{ transformOrigin: "0 0", transform: `translate(${dx}px, ${dy}px) scale(${scale})` }, { transformOrigin: "0 0", transform: "none" }],
        MOVE,
      );
    }
  }

  /** @param {?HTMLElement} tile */
  rove(tile) {
    if (!tile) return;
    for (const other of this.options) {
      other.tabIndex = other === tile ? 0 : -1;
      other.setAttribute("aria-selected", String(other === tile && tile.matches(":focus")));
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const tiles = this.options;
    const tile = option(event);
    const at = tile ? tiles.indexOf(tile) : -1;
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.choose(tiles[at], true);
    }
    const rtl = getComputedStyle(this.node).direction === "rtl";
    const step = new Map([["ArrowRight", rtl ? -1 : 1], ["ArrowLeft", rtl ? 1 : -1]]).get(event.key);
    let goal;
    if (step) goal = tiles[at + step];
    else if (event.key === "Home") goal = tiles[0];
    else if (event.key === "End") goal = tiles.at(-1);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") goal = this.beside(tiles, at, event.key === "ArrowDown");
    else return;
    event.preventDefault();
    goal?.focus();
  }

  /**
   * The nearest tile in the rows below or above: tiles differ in size.
   * @param {HTMLElement[]} tiles
   * @param {number} at
   * @param {boolean} down
   */
  beside(tiles, at, down) {
    const from = tiles[at].getBoundingClientRect();
    const x = from.left + from.width / 2;
    const rows = tiles
      .map((tile) => ({ tile, box: tile.getBoundingClientRect() }))
      .filter(({ box }) => (down ? box.top >= from.bottom - 2 : box.bottom <= from.top + 2));
    const distance = (/** @type {{box: DOMRect}} */ { box }) =>
      (down ? box.top - from.bottom : from.top - box.bottom) * 4 + Math.max(box.left - x, x - box.right, 0);
    return rows.sort((a, b) => distance(a) - distance(b))[0]?.tile;
  }
}
