// A listbox of pictures, or a list where they come with links: results and the starting choice. Tiles keep their identity between searches, so that a new
// ranking is seen as movement. One tab stop, arrow keys inside; Enter takes a picture, Space looks at it.

import { calm, h } from "./dom.js";
import { crowd } from "./parts.js";
import { Tile, stop } from "./tile.js";

/** @import { Item, RenderItem, Translate } from "../types.js" */

/** More are windowed. */
const MANY = 108;
const MOVE = { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)" };

/**
 * The tile that an event is in.
 * @param {Event} event
 * @returns {?HTMLElement}
 */
const option = ({ target }) => /** @type {Element} */ (target).closest(".tile:not(.blank)");

export class Grid {
  /** @param {{t: Translate, pick: (item: Item, typing: boolean) => void, look: (item: Item, rank: number) => void, leave: () => void}} options */
  constructor({ t, pick, look, leave }) {
    this.t = t;
    this.pick = pick;
    this.look = look;
    this.leave = leave;
    /** @type {Map<number, Tile>} */
    this.tiles = new Map();
    /** @type {Item[]} */
    this.items = [];
    /** Of the items, so many are shown: rows are full. */
    this.shown = 0;
    this.least = 0;
    this.scores = false;
    /** What the titles are compared with, and the reference's picture. @type {{from: string, text: string, reference: ?string}} */
    this.about = { from: "", text: "", reference: null };
    /** @type {?RenderItem} */
    this.render = null;
    /** Told of the number of shown items when the width changes it. */
    this.onfit = () => {};
    /** What windows a long answer, once it is there. @type {?import("./later/many.js").Many} */
    this.many = null;
    this.node = h("div.grid", { role: "listbox", "aria-label": t("results"), part: "results" });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("click", (event) => this.clicked(event));
    this.node.addEventListener("focusin", (event) => this.rove(option(event)));
    for (const name of ["pointerdown", "pointerup", "pointerleave", "pointercancel"]) this.node.addEventListener(name, (event) => this.hold(event));
    this.size = new ResizeObserver(() => this.fit());
    this.size.observe(this.node);
  }

  get options() {
    const nodes = /** @type {HTMLElement[]} */ ([...this.node.children]);
    return nodes.filter((node) => node.dataset.index && !node.hidden);
  }

  /** So many that they are windowed. */
  get crowded() {
    return this.many !== null && this.shown > MANY;
  }

  /** The best match takes the room of several. */
  get wide() {
    return this.items[0]?.score !== undefined && !this.node.closest(".far");
  }

  /** The rank of the picture that has the focus. */
  get focused() {
    const { activeElement } = /** @type {ShadowRoot} */ (this.node.getRootNode());
    const tile = /** @type {?HTMLElement} */ (this.node.contains(activeElement) ? activeElement?.closest(".tile") : null);
    return tile ? this.rank(tile) : null;
  }

  /** @param {HTMLElement} node */
  rank(node) {
    return Number(node.getAttribute("aria-posinset")) - 1;
  }

  /** The tile of an item, as it is at a rank. @param {Item} item @param {number} rank */
  tile(item, rank) {
    const { scores, render, about, items } = this;
    const tile = this.tiles.get(item.index) ?? new Tile(item, { t: this.t, hint: this.t("useThis") });
    tile.update(item, { ...about, rank, size: this.shown || items.length, scores, render });
    return tile;
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const tile = option(event);
    const target = /** @type {Element} */ (event.target);
    // Links and buttons of the page's own template do what they do.
    if (!tile || event.defaultPrevented || target.closest("a, button, .was")) return;
    if (target.closest(".look")) this.open(tile);
    else this.choose(tile, matchMedia("(pointer: fine)").matches);
  }

  /** @param {Event} event */
  hold(event) {
    const was = /** @type {Element} */ (event.target).closest?.(".was");
    const held = event.type === "pointerdown" && Boolean(was);
    for (const { frame } of this.tiles.values()) frame.classList.toggle("held", held && frame.contains(/** @type {Node} */ (was)));
  }

  /**
   * `typing`: the words are likely to be typed next, so the field may take the focus without a keyboard jumping up.
   * @param {HTMLElement} node
   * @param {boolean} typing
   */
  choose(node, typing) {
    const tile = this.tiles.get(Number(node.dataset.index));
    if (tile) this.pick(tile.item, typing);
  }

  /** @param {HTMLElement} node */
  open(node) {
    const tile = this.tiles.get(Number(node.dataset.index));
    if (tile) this.look(tile.item, this.items.indexOf(tile.item));
  }

  /**
   * @param {Item[]} items
   * @param {{least?: number, from?: string, text?: string, reference?: ?string}} [how] `least`: so many items are wanted;
   *   what is over fills the last row
   */
  show(items, { least = items.length, from = "", text = "", reference = null } = {}) {
    const before = new Map([...this.tiles].map(([index, { node }]) => [index, node.getBoundingClientRect()]));
    const focused = this.node.contains(/** @type {ShadowRoot} */ (this.node.getRootNode()).activeElement);
    this.items = items;
    this.shown = Math.min(this.shown, items.length);
    this.least = least;
    this.about = { from, text, reference };
    /** @type {Map<number, Tile>} */
    const next = new Map();
    for (const [rank, item] of items.slice(0, MANY).entries()) next.set(item.index, this.tile(item, rank));
    this.tiles = next;
    this.node.classList.remove("many");
    this.node.replaceChildren(...[...next.values()].map(({ node }) => node));
    this.update();
    this.fit();
    const first = this.options[0];
    if (first) this.rove(first);
    if (focused && first) stop(first).focus({ preventScroll: true });
    if (!calm()) this.animate(before);
  }

  update() {
    this.node.setAttribute("role", this.render ? "list" : "listbox");
    this.node.classList.toggle("linked", Boolean(this.render));
    for (const [rank, item] of this.items.entries()) if (this.tiles.has(item.index)) this.tile(item, rank);
    if (!this.crowded) return;
    this.many?.measure();
    this.many?.lay();
  }

  /** Shows as many items as fill the rows, the wanted number at least where there are enough. */
  fit() {
    if (!this.items.length) return;
    const columns = getComputedStyle(this.node).gridTemplateColumns.split(" ").length;
    const extra = this.wide && columns > 1 ? 3 : 0;
    const rows = Math.ceil((this.least + extra) / columns);
    const full = rows * columns - extra;
    const fitting = full <= this.items.length ? full : Math.max(1, Math.floor((this.items.length + extra) / columns)) * columns - extra;
    // Nothing is kept back where there is no more to come.
    const shown = this.items.length < this.least || fitting < 1 ? this.items.length : Math.min(fitting, this.items.length);
    for (const [rank, item] of this.items.entries()) {
      const tile = this.tiles.get(item.index);
      if (tile) tile.node.hidden = rank >= shown;
    }
    if (shown > MANY && !this.many) crowd(this);
    else if (shown > MANY && shown === this.shown) this.update();
    if (shown === this.shown) return;
    this.shown = shown;
    this.update();
    this.onfit();
  }

  /** Nothing to show. */
  clear() {
    this.tiles.clear();
    this.items = [];
    this.shown = 0;
    this.node.replaceChildren();
  }

  /** Moves the focus to the first picture, or the one that was left. */
  enter() {
    const tile = this.options.find((node) => stop(node).tabIndex === 0);
    if (!tile) return;
    stop(tile).focus({ preventScroll: true });
    tile.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  /**
   * Grey tiles while the first answer is on its way.
   * @param {number} count
   */
  wait(count) {
    this.clear();
    const blanks = Array.from({ length: count }, () => h("div.tile.blank", { "aria-hidden": "true" }, h("div.frame"), h("span.title", {}, "\u00a0")));
    this.node.replaceChildren(...blanks);
  }

  /** @param {boolean} on */
  setScores(on) {
    this.scores = on;
    this.node.classList.toggle("scored", on);
    this.update();
  }

  /** @param {Map<number, DOMRect>} before */
  animate(before) {
    let fresh = 0;
    for (const [index, { node }] of this.tiles) {
      const old = before.get(index);
      if (!old?.width) {
        const delay = Math.min(fresh++, 14) * 22;
        const from = { opacity: 0, transform: "translateY(10px) scale(.96)" };
        node.animate([from, { opacity: 1, transform: "none" }], { ...MOVE, delay, fill: "backwards" });
        continue;
      }
      const now = node.getBoundingClientRect();
      const [dx, dy] = [old.left - now.left, old.top - now.top];
      const scale = now.width ? old.width / now.width : 1;
      if (!dx && !dy && scale === 1) continue;
      const start = { transformOrigin: "0 0", transform: `translate(${dx}px, ${dy}px) scale(${scale})` };
      node.animate([start, { transformOrigin: "0 0", transform: "none" }], MOVE);
    }
  }

  /** @param {?HTMLElement} tile */
  rove(tile) {
    if (!tile) return;
    for (const { node: other } of this.tiles.values()) {
      stop(other).tabIndex = other === tile ? 0 : -1;
      if (other.getAttribute("role") === "option") other.setAttribute("aria-selected", String(other === tile && tile.matches(":focus")));
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const tiles = this.options;
    const tile = option(event);
    const at = tile ? tiles.indexOf(tile) : -1;
    if (!tile || at < 0 || event.target !== stop(tile)) return;
    const rtl = getComputedStyle(this.node).direction === "rtl";
    const step = new Map([["ArrowRight", rtl ? -1 : 1], ["ArrowLeft", rtl ? 1 : -1]]).get(event.key);
    const vertical = event.key === "ArrowDown" || event.key === "ArrowUp";
    const rank = this.rank(tile);
    /** @type {?number} */
    let goal = null;
    if (event.key === "Enter") this.choose(tile, true);
    else if (event.key === " ") this.open(tile);
    else if (step) goal = rank + step;
    else if (event.key === "Home") goal = 0;
    else if (event.key === "End") goal = this.shown - 1;
    else if (vertical) goal = this.crowded && this.many ? this.many.goal(event.key, rank) : this.beside(tiles, at, event.key === "ArrowDown");
    else if (event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Escape" || (event.key === "ArrowUp" && goal === null)) this.leave();
    else if (goal !== null) this.go(goal);
  }

  /** Moves the focus to a rank. @param {number} rank */
  go(rank) {
    const item = this.items[rank];
    if (!item || rank >= this.shown) return;
    if (this.crowded && !this.tiles.has(item.index)) this.many?.bring(rank);
    const tile = this.tiles.get(item.index);
    if (tile) stop(tile.node).focus();
  }

  /**
   * The rank of the nearest tile in the rows below or above: tiles differ in size.
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
    const [nearest] = rows.sort((a, b) => distance(a) - distance(b));
    return nearest ? this.rank(nearest.tile) : null;
  }

  destroy() {
    this.size.disconnect();
    this.many?.destroy();
  }
}
