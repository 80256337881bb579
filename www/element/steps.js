// The steps of a search: each an image or none, words or none, and the answer once there is one. Going back keeps the
// later steps until a new one is taken.

/** @import { Reference, Step } from "../types.js" */

/** @returns {Step} */
const step = (/** @type {?Reference} */ reference = null, text = "") => ({ reference, text, hits: null, timings: null, stale: false });

export class Steps {
  constructor() {
    this.list = [step()];
    this.now = 0;
  }

  get current() {
    return this.list[this.now];
  }

  /** Neither image nor words: the gallery is being looked at. */
  get browsing() {
    return !this.current.reference && !this.current.text;
  }

  /**
   * The next step; one that has no answer yet is changed instead.
   * @param {?Reference} reference
   * @param {string} text
   */
  put(reference, text) {
    const { hits } = this.current;
    const answered = hits && !this.browsing;
    const dropped = this.list.splice(answered ? this.now + 1 : this.now);
    this.list.push(step(reference, text));
    this.now = this.list.length - 1;
    this.#release(dropped);
  }

  /** @param {number} position */
  go(position) {
    this.now = Math.max(0, Math.min(position, this.list.length - 1));
  }

  reset() {
    const dropped = this.list;
    this.list = [step()];
    this.now = 0;
    this.#release(dropped);
  }

  /**
   * Lets go of uploaded pictures that dropped steps alone held.
   * @param {Step[]} dropped
   */
  #release(dropped) {
    const kept = new Set(this.list.map(({ reference }) => reference?.image));
    for (const { reference } of dropped) {
      if (reference?.owned && !kept.has(reference.image)) URL.revokeObjectURL(reference.image);
    }
  }
}
