// The steps of a search: each an image or none, words or none, and the answer once there is one. Words are those that
// were taken (tokens, one change each) and those that are being typed (draft). Going back keeps the later steps until a
// new one is taken, and what was answered is never rewritten.

/** @import { Reference, Step } from "../types.js" */

let made = 0;

/** Nothing is asked finely. @returns {import("../types.js").Refined} */
export const plain = () => ({ without: [], balance: 0.5, only: [], also: [] });

/**
 * @param {?Reference} reference
 * @param {string[]} tokens
 * @returns {Step}
 */
const step = (reference = null, tokens = [], draft = "") => ({ id: ++made, reference, tokens, draft, hits: null, timings: null, answered: null, settled: false, refined: plain() });

/** All words of a step, as the engine gets them: one change after the other. @param {Step} step */
export const wordsOf = ({ tokens, draft }) => [...tokens, draft].filter(Boolean).join(", ");

/** The picture of a step, and the one that it is a part of. @param {Step} step @returns {Reference[]} */
const pictures = ({ reference }) => (reference ? [reference, ...(reference.whole ? [reference.whole] : [])] : []);

export class Steps {
  constructor() {
    this.list = [step()];
    this.now = 0;
  }

  get current() {
    return this.list[this.now];
  }

  get text() {
    return wordsOf(this.current);
  }

  /** The present step's words are not those that its answer is for. */
  get stale() {
    return this.current.answered !== this.text;
  }

  /**
   * The next step; one that has no answer yet is changed instead.
   * @param {?Reference} reference
   * @param {string[]} tokens
   * @param {string} draft
   */
  put(reference, tokens = [], draft = "") {
    const { current } = this;
    const dropped = this.list.splice(current.answered === null ? this.now : this.now + 1);
    const next = step(reference, tokens, draft);
    // Other words for the same image are asked as finely as those before.
    if (reference === current.reference) next.refined = { ...current.refined };
    this.list.push(next);
    this.now = this.list.length - 1;
    this.#release(dropped);
  }

  /**
   * Other words for the present image. A step that was left, or whose words were taken, stays as it is: the change is a
   * step of its own.
   * @param {string[]} tokens
   * @param {string} draft
   */
  edit(tokens, draft) {
    const { current } = this;
    if (current.settled && current.answered !== null) this.put(current.reference, tokens, draft);
    else Object.assign(current, { tokens, draft });
  }

  /** The present step is done with: other words will be another step. */
  settle() {
    this.current.settled = true;
  }

  /** @param {number} position */
  go(position) {
    for (const one of this.list) one.settled = true;
    this.now = Math.max(0, Math.min(position, this.list.length - 1));
  }

  reset() {
    const dropped = this.list;
    this.list = [step()];
    this.now = 0;
    this.#release(dropped);
  }

  /** Another gallery: no answer holds any longer, and its pictures are like any other image. */
  uproot() {
    for (const one of this.list) {
      Object.assign(one, { hits: null, answered: null, timings: null });
      if (one.reference?.item === undefined) continue;
      const { item, ...rest } = one.reference;
      one.reference = { ...rest, key: `former:${item}:${one.reference.image}` };
    }
  }

  /** Lets go of the addresses of uploaded pictures while the element is out of the page; `wake` gives them back. */
  rest() {
    for (const reference of this.#owned()) URL.revokeObjectURL(reference.image);
  }

  wake() {
    for (const reference of this.#owned()) reference.image = URL.createObjectURL(/** @type {Blob} */ (reference.blob));
  }

  /** @returns {Set<Reference>} */
  #owned() {
    return new Set(this.list.flatMap(pictures).filter(({ blob }) => blob));
  }

  /**
   * Lets go of uploaded pictures that dropped steps alone held.
   * @param {Step[]} dropped
   */
  #release(dropped) {
    const kept = new Set(this.list.flatMap(pictures).map(({ image }) => image));
    for (const { blob, image } of dropped.flatMap(pictures)) if (blob && !kept.has(image)) URL.revokeObjectURL(image);
  }
}
