// Reading a visitor's pictures: the list as it is found, its turns, how fast it goes and how long it will take. Can be halted and
// go on; holds names and counts, never pictures.

import { ThisButError } from "../../errors.js";
import { walk } from "./files.js";

/** @import { Indexed } from "../../../types.js" */
/** @typedef {import("./files.js").Entry} Entry */

/** Seconds of the recent past that the speed is taken from. */
const RECENT = 12;
/** Broken files that are named; of more there is the number. */
const NAMED = 200;

/** What a reader needs of the folder. @typedef {{has: (key: string) => boolean, read: (entry: Entry, picture: Indexed) => void, changed: () => void}} Owner */

export class Work {
  /** @param {Owner} owner */
  constructor(owner) {
    this.owner = owner;
    /** @type {Entry[]} */
    this.queue = [];
    this.at = 0;
    /** Read, or found to be unreadable. */
    this.over = 0;
    this.total = 0;
    this.others = 0;
    this.twice = 0;
    this.bad = 0;
    /** @type {{path: string, why: ThisButError}[]} */
    this.named = [];
    this.listing = 0;
    this.halted = false;
    this.stopped = false;
    /** @type {Set<string>} */
    this.keys = new Set();
    /** Those who wait for the next entry, or for the end of a halt. @type {Set<() => void>} */
    this.waiting = new Set();
    /** @type {{at: number, over: number}[]} */
    this.past = [];
  }

  /** Adds what a visitor gave. @param {import("../own.js").Source[]} sources */
  async list(sources) {
    this.listing += 1;
    try {
      for await (const met of walk(sources)) {
        if (this.stopped) break;
        if ("other" in met) this.others += 1;
        else if ("bad" in met) this.broken(met.bad, met.why);
        else if (this.keys.has(met.entry.key) || this.owner.has(met.entry.key)) this.twice += 1;
        else {
          this.keys.add(met.entry.key);
          this.queue.push(met.entry);
          this.total += 1;
        }
        this.wake();
        this.owner.changed();
      }
    } finally {
      this.listing -= 1;
      this.wake();
      this.owner.changed();
    }
  }

  /** @param {string} path @param {unknown} why */
  broken(path, why) {
    this.bad += 1;
    if (this.named.length < NAMED) this.named.push({ path, why: ThisButError.from(why, "image") });
  }

  wake() {
    for (const go of this.waiting) go();
    this.waiting.clear();
  }

  /** The next entry, once there is one and nothing is halted; none when all is read. @returns {Promise<?Entry>} */
  async next() {
    while (!this.stopped && (this.halted || (this.at >= this.queue.length && this.listing))) await new Promise((go) => this.waiting.add(() => go(null)));
    if (this.stopped || this.at >= this.queue.length) return null;
    const entry = this.queue[this.at];
    // What has been given out is not held: a file in a zip would hold the archive.
    /** @type {any[]} */ (this.queue)[this.at++] = null;
    return entry;
  }

  /** @param {Entry} entry @param {Indexed} picture */
  done(entry, picture) {
    this.over += 1;
    this.owner.read(entry, picture);
    this.owner.changed();
  }

  /** @param {Entry} entry @param {unknown} why */
  failed(entry, why) {
    this.over += 1;
    this.broken(entry.path, why);
    this.owner.changed();
  }

  halt() {
    this.halted = true;
    this.past = [];
    this.owner.changed();
  }

  goOn() {
    this.halted = false;
    this.wake();
    this.owner.changed();
  }

  stop() {
    this.stopped = true;
    this.halted = false;
    this.wake();
    this.owner.changed();
  }

  /** Pictures a second of late, and seconds until all is read; null while nobody can tell. */
  get pace() {
    const now = performance.now() / 1000;
    if (this.past.at(-1)?.over !== this.over) this.past.push({ at: now, over: this.over });
    while (this.past.length > 2 && now - this.past[0].at > RECENT) this.past.shift();
    const [first] = this.past;
    const [time, count] = [now - (first?.at ?? now), this.over - (first?.over ?? 0)];
    if (time < 2 || !count) return null;
    return { rate: count / time, left: this.listing ? null : ((this.total - this.over) * time) / count };
  }
}
