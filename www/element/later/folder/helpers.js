// Workers beside the page's own that read pictures, each with an engine: as many as the device has cores to spare.

import { ThisButError } from "../../errors.js";
import { Link } from "../../link.js";

/** @import { Indexed } from "../../../types.js" */
/** @import { Client } from "../../client.js" */
/** @typedef {import("./files.js").Entry} Entry */

/** Most helpers: each holds a model in memory. */
const MOST = 4;
/** ms that one picture may take. */
const PATIENCE = 60_000;
/** A helper that dies is replaced so many times. */
const REPLACED = 5;

export const spare = () => Math.max(1, Math.min(MOST, (navigator.hardwareConcurrency || 2) - 1));

/**
 * What reading a picture leads to. `next` waits until there is one, and gives none when all is read.
 * @typedef {{next: () => Promise<?Entry>, done: (entry: Entry, picture: Indexed) => void, bad: (entry: Entry, why: unknown) => void}} Desk
 */

export class Helpers {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
    /** @type {Map<number, Promise<?Link>>} */
    this.links = new Map();
    this.replaced = 0;
    this.closed = false;
  }

  /** Starts the helpers: what they need is fetched now, and nothing later. */
  warm() {
    for (let seat = 0; seat < spare(); seat++) this.link(seat);
  }

  /** The helper of a seat; none where it cannot be had. @param {number} seat @returns {Promise<?Link>} */
  link(seat) {
    const there = this.links.get(seat);
    if (there) return there;
    const link = this.start().catch(() => null);
    this.links.set(seat, link);
    return link;
  }

  async start() {
    // After the page's own engine: what that one has stored needs no second download.
    await this.client.start();
    const { bundle, worker, timeout } = this.client.options;
    const link = new Link(worker, { progress: () => link.alive() });
    await link.ask("load", { bundle, device: "cpu", fresh: false, helper: true }, { quiet: timeout });
    if (this.closed) link.close();
    return link;
  }

  /**
   * Reads pictures until there are no more.
   * @param {Desk} desk
   */
  async run(desk) {
    await Promise.all(Array.from({ length: spare() }, (_, seat) => this.work(seat, desk)));
  }

  /** @param {number} seat @param {Desk} desk */
  async work(seat, desk) {
    const first = await this.link(seat);
    // Where no helper starts, the page's own engine reads: slowly, and searches wait.
    if (!first && seat > 0) return;
    for (let entry = await desk.next(); entry; entry = await desk.next()) {
      try {
        const blob = await entry.open();
        const body = { blob, name: entry.path.split("/").pop() ?? "" };
        const link = await this.link(seat);
        const ask = (/** @type {Link} */ one) => one.ask("index", body, { quiet: PATIENCE });
        desk.done(entry, link ? await ask(link) : await this.client.robust(ask));
      } catch (why) {
        if (this.closed) return;
        desk.bad(entry, why);
        await this.replace(seat);
      }
    }
  }

  /** Another helper for one that has died. @param {number} seat */
  async replace(seat) {
    const link = await this.link(seat);
    if (!link?.dead) return;
    if (++this.replaced > REPLACED) throw new ThisButError("runtime", { detail: "the workers that read pictures keep stopping" });
    this.links.delete(seat);
  }

  async close() {
    this.closed = true;
    for (const link of this.links.values()) (await link)?.close();
    this.links.clear();
  }
}
