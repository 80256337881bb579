// The page's side of the engine: one client for a bundle, shared by every element that shows it. Starts the worker
// late, restarts it after a crash, moves between CPU and WebGPU without the answer changing.

import { adapter, mayMeasure, remember, remembered } from "./device.js";
import { ThisButError } from "./errors.js";
import { Link } from "./link.js";
import { opening } from "./opening.js";

/** A module that uses SIMD, as the engine does: `i8x16.splat` and no more. */
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11]);
/** A query may take so many times as long as the self-test, which is one; never less than so many ms. */
const SLOWER = 40;
const QUERY_AT_LEAST = 8000;

/** @import { Device, How, Info, Options, Reference } from "../types.js" */

// Who searches without the element makes references with these.
export { fromFile, fromItem } from "./reference.js";

/** @type {Map<string, Client>} */
const clients = new Map();

/**
 * The shared client for these options; give it back with `release`.
 * @param {Options} options
 */
export function acquire({ bundle, worker, device, timeout }) {
  const name = `${bundle} ${worker} ${device}`;
  let client = clients.get(name);
  if (!client) {
    client = new Client(name, { bundle, worker, device, timeout });
    clients.set(name, client);
  }
  client.users += 1;
  return client;
}

/** Fires `progress` (detail {loaded, total, stage, upload}), `ready` (detail info) and `device` (detail info). */
export class Client extends EventTarget {
  /** @param {string} name @param {Options} options */
  constructor(name, options) {
    super();
    this.name = name;
    this.options = options;
    this.users = 0;
    /** @type {?Link} */
    this.link = null;
    /** A second worker while it is measured. @type {?Link} */
    this.trial = null;
    /** @type {?Promise<Info>} */
    this.starting = null;
    /** @type {?Info} */
    this.info = null;
    /** The graphics card's name, while it could be tried. @type {?string} */
    this.adapter = null;
    /** Keys of images whose tokens the present worker holds. @type {Set<string>} */
    this.encoded = new Set();
    /** @type {?Device} */
    this.forced = null;
    /** What the bundle shows without its model. @type {?Promise<?import("../types.js").Opening>} */
    this.shown = null;
    /** Counts stops: what was awaited before one is not to go on after it. */
    this.stops = 0;
  }

  release() {
    this.users -= 1;
    if (this.users > 0) return;
    clients.delete(this.name);
    this.stop();
  }

  opening() {
    return (this.shown ??= opening(this.options.bundle));
  }

  /** Throws if the client has been stopped or given back since `stops` was that many. @param {number} stops */
  still(stops) {
    if (this.stops !== stops || this.users < 1) throw new ThisButError("closed", { detail: "given back while it was starting" });
  }

  stop() {
    this.stops += 1;
    this.link?.close();
    this.trial?.close();
    this.link = null;
    this.starting = null;
    this.info = null;
    this.encoded.clear();
  }

  /** @param {string} name @param {object} detail */
  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * Loads the engine once; later calls share the first one's promise, until it has failed.
   * @param {How} how
   * @returns {Promise<Info>}
   */
  start(how = {}) {
    if (how.device) this.forced = how.device;
    if (how.fresh || how.device) this.stop();
    const stops = this.stops;
    this.starting ??= this.begin(how).catch((reason) => {
      if (this.stops === stops) this.starting = null;
      throw ThisButError.from(reason);
    });
    return this.starting;
  }

  /** @param {How} how */
  async begin(how) {
    const { stops } = this;
    this.still(stops);
    if (typeof WebAssembly !== "object" || typeof Worker !== "function") throw new ThisButError("unsupported");
    if (!WebAssembly.validate(SIMD)) throw new ThisButError("simd");
    const { bundle, device } = this.options;
    const wanted = this.forced ?? device;
    const name = wanted === "auto" ? await adapter() : null;
    this.still(stops);
    let info;
    const choice = wanted === "auto" ? (name && remembered(bundle, name)) || "cpu" : wanted;
    try {
      info = await this.open(choice, how);
    } catch (/** @type {any} */ reason) {
      this.still(stops);
      // Only the device is at fault for these; damaged or missing files would fail on the CPU too.
      if (choice !== "webgpu" || !["device", "runtime", "timeout"].includes(reason.kind)) throw reason;
      remember(bundle, null);
      info = await this.open("cpu", how);
      info.fellBack = true;
    }
    this.still(stops);
    this.adapter = wanted === "auto" && name && !remembered(bundle, name) ? name : null;
    this.emit("ready", info);
    return info;
  }

  /** @param {Device} device @param {How} how */
  async open(device, { fresh = false } = {}) {
    const link = this.connect((detail) => this.emit("progress", detail), device);
    this.link?.close();
    this.link = link;
    this.encoded.clear();
    const info = await link.ask("load", { bundle: this.options.bundle, device, fresh }, { quiet: this.options.timeout });
    return (this.info = info);
  }

  /** @param {(detail: import("../types.js").Progress) => void} progress @param {Device} device */
  connect(progress, device) {
    const link = new Link(this.options.worker, {
      progress: (detail) => {
        link.alive();
        progress(detail);
      },
      lost: () => {
        if (this.link !== link) return;
        if (device === "webgpu") {
          remember(this.options.bundle, null);
          this.forced = "cpu";
        }
        this.link = null;
        this.starting = null;
        this.encoded.clear();
      },
    });
    return link;
  }

  /** Bytes that a trial of the graphics card would fetch; 0 where there is nothing to try. */
  get trialBytes() {
    return this.info && this.adapter && !this.trial && mayMeasure(this.info) ? this.info.webgpu : 0;
  }

  /** Is WebGPU faster here? Then it takes over. Fetches a second module, so only a visitor begins it. */
  async measure() {
    const { measure } = await import("./later/measure.js");
    await measure(this);
  }

  /**
   * Runs `work` on a started worker, and once more on a new one if that worker died under it.
   * @template Answer
   * @param {(link: Link) => Promise<Answer>} work
   * @returns {Promise<Answer>}
   */
  async robust(work) {
    await this.start();
    const { stops } = this;
    try {
      return await work(this.started());
    } catch (/** @type {any} */ reason) {
      this.still(stops);
      const died = !this.link || this.link.dead;
      if (!died && reason.kind !== "device") throw reason;
      if (reason.kind === "device") this.link?.fail(reason);
      this.emit("device", await this.start());
      return work(this.started());
    }
  }

  /** ms that a query may take: this device has shown how long one takes, and a dead worker says nothing. */
  get patience() {
    const once = this.info?.timings?.selfTest ?? 0;
    return Math.min(this.options.timeout, Math.max(QUERY_AT_LEAST, SLOWER * once));
  }

  /** The worker that `start` has started. */
  started() {
    if (!this.link) throw new ThisButError("runtime", { detail: "closed" });
    return this.link;
  }

  /**
   * @param {{image: ?Reference, text: string, limit: number, refined: import("../types.js").Refined, vector?: boolean}} query
   * `vector`: give the query's vectors too, where the search is one query
   */
  query({ image, text, limit, refined: { also, ...rest }, vector = false }) {
    return this.robust(async (link) => {
      let encode = 0;
      for (const one of [image, ...also]) encode += one ? await this.encode(link, one) : 0;
      const others = also.map(({ key, item }) => ({ key, chosen: item ?? null }));
      const body = { key: image?.key ?? null, chosen: image?.item ?? null, text, limit, others, vector, ...rest };
      const found = await link.ask("query", body, { quiet: this.patience });
      return { ...found, timings: { ...found.timings, image: encode } };
    });
  }

  /** @param {Link} link @param {Reference} image */
  async encode(link, image) {
    if (this.encoded.has(image.key)) return 0;
    const { key, item } = image;
    const quiet = this.patience;
    let told;
    if (this.info?.upload === false) {
      // No image encoder: the engine has the gallery's images alone, and fetches what it needs of them itself.
      if (item === undefined) throw new ThisButError("image", { key: "image.gallery" });
      told = link.ask("refer", { key, index: item }, { quiet });
    } else {
      const { width, height, rgba, file } = await image.pixels();
      told = link.ask("encode", { key, width, height, rgba, file }, { transfer: file ? [rgba, file] : [rgba], quiet });
    }
    const { ms, dropped } = await told.catch((/** @type {any} */ reason) => {
      // The engine knows a picture by its key alone.
      if (reason.kind === "image") throw new ThisButError("image", { values: { name: image.title }, detail: reason.detail });
      throw reason;
    });
    for (const key of dropped ?? []) this.encoded.delete(key);
    this.encoded.add(image.key);
    return ms;
  }

  /** Items of the gallery. @param {number} offset @param {number} limit */
  browse(offset, limit) {
    return this.robust((link) => link.ask("browse", { offset, limit }, { quiet: this.patience }));
  }

  /** The item with this number, or this name, if there is one. @param {number | string} which @returns {Promise<?import("../types.js").Item>} */
  async find(which) {
    const body = typeof which === "number" ? { index: which } : { name: which };
    return (await this.robust((link) => link.ask("find", body, { quiet: this.patience }))).item ?? null;
  }

  /** The same, where there has to be one. @param {number | string} which */
  async item(which) {
    const item = await this.find(which);
    if (!item) throw new ThisButError("query", { detail: `the gallery has no image ${which}` });
    return item;
  }
}
