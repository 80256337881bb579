// More pictures than a page should hold: only those near what is seen are in it, the others are room. Rows have one height, so that
// every picture's place is known without it. Fetched for the first answer that is that long.

import { h, wear } from "../dom.js";
import { stop } from "../tile.js";

/** @import { Grid } from "../grid.js" */

const css = `
.grid.many { grid-auto-rows: var(--_row, auto); }
.many .tile { overflow: clip; overflow-clip-margin: 8px; }
.many .tile > * { flex: none; }
.many:not(.linked) .title { block-size: calc(2.7em + 8px); overflow: hidden; }
`;

/** Screens that are kept ready above and below the one that is seen. */
const AHEAD = 1;

/** @typedef {{from: number, to: number}} Rows the last one too */

export class Many {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.columns = 1;
    /** The best match has the room of four. */
    this.wide = false;
    /** px from one row to the next. */
    this.pitch = 0;
    /** px of what stands under a picture. */
    this.text = 0;
    this.frame = 0;
    /** The row that the focus goes to. @type {?number} */
    this.bound = null;
    this.gone = new AbortController();
    const { signal } = this.gone;
    wear(/** @type {ShadowRoot} */ (grid.node.getRootNode()), css);
    for (const name of ["scroll", "resize"]) addEventListener(name, () => this.soon(), { capture: true, passive: true, signal });
    // A picture keeps its row while it has the focus, however far the page is scrolled.
    grid.node.addEventListener("focusout", () => this.soon(), { signal });
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.grid.crowded) this.lay();
    });
  }

  /** Columns and the height of rows, from what is there. */
  measure() {
    const { node } = this.grid;
    node.classList.add("many");
    const { gridTemplateColumns, rowGap } = getComputedStyle(node);
    const sizes = gridTemplateColumns.split(" ").map(Number.parseFloat);
    const [first, ...others] = this.grid.options;
    this.columns = sizes.length;
    this.wide = this.grid.wide && this.columns > 1;
    const under = (/** @type {Element} */ tile) => {
      const bottoms = [...tile.children].filter((one) => one.getClientRects().length).map((one) => one.getBoundingClientRect().bottom);
      return Math.max(...bottoms) - tile.children[0].getBoundingClientRect().bottom;
    };
    // What a page puts in may be higher further down: rows never shrink for what is seen at the moment.
    this.text = Math.max(this.grid.render ? this.text : 0, ...(others.length ? others : [first]).map(under));
    const row = Math.ceil(sizes[0] + this.text);
    this.pitch = row + (Number.parseFloat(rowGap) || 0);
    node.style.setProperty("--_row", `${row}px`);
  }

  /** Pictures beside the best match, in each of its two rows. */
  get beside() {
    return this.wide ? this.columns - 2 : 0;
  }

  /** @param {number} rank */
  rowOf(rank) {
    if (!this.wide) return Math.floor(rank / this.columns);
    const { beside } = this;
    if (rank <= 2 * beside) return rank > beside ? 1 : 0;
    return 2 + Math.floor((rank - 2 * beside - 1) / this.columns);
  }

  /** The rank of the first picture that begins in a row. @param {number} row */
  firstOf(row) {
    if (!this.wide) return row * this.columns;
    if (row < 2) return row ? this.beside + 1 : 0;
    return 2 * this.beside + 1 + (row - 2) * this.columns;
  }

  /** @param {number} rank */
  columnOf(rank) {
    const row = this.rowOf(rank);
    const at = rank - this.firstOf(row);
    if (!this.wide || row > 1) return at;
    return row ? at + 2 : rank && at + 1;
  }

  /** The rank at a place. @param {number} row @param {number} column */
  rankAt(row, column) {
    if (!this.wide || row > 1) return this.firstOf(row) + column;
    return column < 2 ? 0 : this.firstOf(row) + column - (row ? 2 : 1);
  }

  /** Rows near what is seen, and the one that has the focus. @param {number} last @returns {Rows[]} */
  wanted(last) {
    const { top } = this.grid.node.getBoundingClientRect();
    const row = (/** @type {number} */ y) => Math.max(0, Math.min(last, Math.floor((y - top) / this.pitch)));
    const seen = { from: row(-AHEAD * innerHeight), to: row((1 + AHEAD) * innerHeight) };
    const { focused } = this.grid;
    const kept = this.bound ?? (focused === null ? null : this.rowOf(focused));
    const all = kept === null ? [seen] : [seen, { from: kept, to: kept }];
    // The best match stands in two rows: both or none.
    for (const one of all) if (this.wide && one.from < 2) Object.assign(one, { from: 0, to: Math.max(1, one.to) });
    all.sort((a, b) => a.from - b.from);
    const [one, other] = all;
    if (!other) return all;
    return other.from <= one.to + 1 ? [{ from: one.from, to: Math.max(one.to, other.to) }] : all;
  }

  /** Puts in what is to be there; what was there and stays is not touched, so that the focus stays. */
  lay() {
    const { grid } = this;
    const { shown, items } = grid;
    const last = this.rowOf(shown - 1);
    /** @type {HTMLElement[]} */
    const nodes = [];
    const tiles = new Map();
    let next = 0;
    const room = (/** @type {number} */ rows) => {
      if (rows < 1) return;
      const node = h("div", { role: "none" });
      node.style.gridArea = `auto / 1 / span ${rows} / -1`;
      nodes.push(node);
    };
    for (const { from, to } of this.wanted(last)) {
      room(from - next);
      for (let rank = this.firstOf(from); rank < Math.min(shown, this.firstOf(to + 1)); rank++) {
        const tile = grid.tile(items[rank], rank);
        tiles.set(items[rank].index, tile);
        nodes.push(tile.node);
      }
      next = to + 1;
    }
    room(last + 1 - next);
    grid.tiles = tiles;
    const stay = new Set(nodes);
    for (const node of [...grid.node.children]) if (!stay.has(/** @type {HTMLElement} */ (node))) node.remove();
    let at = grid.node.firstElementChild;
    for (const node of nodes) {
      if (node === at) at = at.nextElementSibling;
      else grid.node.insertBefore(node, at);
    }
    if (!grid.options.some((node) => stop(node).tabIndex === 0)) grid.rove(grid.options[0]);
  }

  /** Puts in the row of a picture that the focus goes to. @param {number} rank */
  bring(rank) {
    this.bound = this.rowOf(rank);
    this.lay();
    this.bound = null;
  }

  /** Where an arrow key leads. @param {string} key @param {number} rank @returns {number | null} */
  goal(key, rank) {
    const way = key === "ArrowDown" ? 1 : -1;
    const row = this.rowOf(rank) + (this.wide && rank === 0 && way > 0 ? 2 : way);
    if (row < 0 || row > this.rowOf(this.grid.shown - 1)) return null;
    return Math.min(this.rankAt(row, this.columnOf(rank)), this.grid.shown - 1);
  }

  destroy() {
    this.gone.abort();
    cancelAnimationFrame(this.frame);
  }
}
