// The page's side of the engine: one client for a bundle, shared by every element that shows it. Starts the worker
// late, restarts it after a crash, moves between CPU and WebGPU without the answer changing.

import { CLEARLY, adapter, mayMeasure, remember, remembered } from "./device.js";
import { ThisButError } from "./errors.js";
import { Link } from "./link.js";

/** @import { Device, How, Info, Options, Reference } from "../types.js" */

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
    /** Keys of images whose tokens the present worker holds. @type {Set<string>} */
    this.encoded = new Set();
    /** @type {?Device} */
    this.forced = null;
  }

  release() {
    this.users -= 1;
    if (this.users > 0) return;
    clients.delete(this.name);
    this.stop();
  }

  stop() {
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
    this.starting ??= this.begin(how).catch((reason) => {
      this.starting = null;
      throw ThisButError.from(reason);
    });
    return this.starting;
  }

  /** @param {How} how */
  async begin(how) {
    if (typeof WebAssembly !== "object" || typeof Worker !== "function") throw new ThisButError("unsupported");
    const { bundle, device } = this.options;
    const wanted = this.forced ?? device;
    const name = wanted === "auto" ? await adapter() : null;
    let info;
    const choice = wanted === "auto" ? (name && remembered(bundle, name)) || "cpu" : wanted;
    try {
      info = await this.open(choice, how);
    } catch (/** @type {any} */ reason) {
      // Only the device is at fault for these; damaged or missing files would fail on the CPU too.
      if (choice !== "webgpu" || !["device", "runtime", "timeout"].includes(reason.kind)) throw reason;
      remember(bundle, null);
      info = await this.open("cpu", how);
      info.fellBack = true;
    }
    this.emit("ready", info);
    if (wanted === "auto" && name && !remembered(bundle, name)) this.measureLater(name);
    return info;
  }

  /** @param {Device} device @param {How} how */
  async open(device, { fresh = false } = {}) {
    const link = this.connect((detail) => this.emit("progress", detail), device);
    this.link?.close();
    this.link = link;
    this.encoded.clear();
    return (this.info = await link.ask("load", { bundle: this.options.bundle, device, fresh }, { quiet: this.options.timeout }));
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

  /**
   * When the page has been calm for a moment: is WebGPU faster here? Then it takes over.
   * @param {string} name the adapter's
   */
  async measureLater(name) {
    await new Promise((done) => setTimeout(done, 4000));
    const link = this.link;
    if (!link || !this.info || !mayMeasure(this.info)) return;
    const { bundle } = this.options;
    try {
      const cpu = await link.ask("measure", {}, { quiet: 30_000 });
      const trial = (this.trial = this.connect(() => {}, "webgpu"));
      const info = await trial.ask("load", { bundle, device: "webgpu", fresh: false }, { quiet: 60_000 });
      const gpu = await trial.ask("measure", {}, { quiet: 30_000 });
      const wins = gpu.ms < cpu.ms * CLEARLY;
      remember(bundle, wins ? "webgpu" : "cpu", name, { cpu: cpu.ms, webgpu: gpu.ms });
      if (!wins || this.link !== link) return trial.close();
      link.close();
      this.link = trial;
      this.info = info;
      this.encoded.clear();
      this.emit("device", info);
    } catch {
      remember(bundle, "cpu", name);
      this.trial?.close();
    } finally {
      this.trial = null;
    }
  }

  /**
   * Runs `work` on a started worker, and once more on a new one if that worker died under it.
   * @template Answer
   * @param {(link: Link) => Promise<Answer>} work
   * @returns {Promise<Answer>}
   */
  async robust(work) {
    await this.start();
    try {
      return await work(this.started());
    } catch (/** @type {any} */ reason) {
      const died = !this.link || this.link.dead;
      if (!died && reason.kind !== "device") throw reason;
      if (reason.kind === "device") this.link?.fail(reason);
      this.emit("device", await this.start());
      return work(this.started());
    }
  }

  /** The worker that `start` has started. */
  started() {
    if (!this.link) throw new ThisButError("runtime", { detail: "closed" });
    return this.link;
  }

  /**
   * @param {{image: ?Reference, text: string, limit: number}} query
   */
  query({ image, text, limit }) {
    return this.robust(async (link) => {
      const encode = image ? await this.encode(link, image) : 0;
      const body = { key: image?.key ?? null, chosen: image?.item ?? null, text, limit };
      const found = await link.ask("query", body, { quiet: this.options.timeout });
      return { ...found, timings: { ...found.timings, image: encode } };
    });
  }

  /** @param {Link} link @param {Reference} image */
  async encode(link, image) {
    if (this.encoded.has(image.key)) return 0;
    const { key, item } = image;
    const quiet = this.options.timeout;
    let told;
    if (this.info?.upload === false) {
      // No image encoder: the engine has the gallery's images alone, and fetches what it needs of them itself.
      if (item === undefined) throw new ThisButError("image", { key: "image.gallery" });
      told = link.ask("refer", { key, index: item }, { quiet });
    } else {
      const { width, height, rgba } = await image.pixels();
      told = link.ask("encode", { key, width, height, rgba }, { transfer: [rgba], quiet });
    }
    const { ms, dropped } = await told;
    for (const key of dropped ?? []) this.encoded.delete(key);
    this.encoded.add(image.key);
    return ms;
  }

  /** Items of the gallery. @param {number} offset @param {number} limit */
  browse(offset, limit) {
    return this.robust((link) => link.ask("browse", { offset, limit }));
  }
}
