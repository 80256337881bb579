// The page's side of the engine: one client for a bundle, shared by every element that shows it. Starts the worker
// late, restarts it after a crash, moves between CPU and WebGPU without the answer changing.

import { CLEARLY, adapter, mayMeasure, remember, remembered } from "./device.js";
import { ThisButError } from "./errors.js";
import { Link } from "./link.js";

const clients = new Map();

/** The shared client for these options; give it back with `release`. */
export function acquire({ bundle, worker, device = "auto", timeout = 60_000 }) {
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
  constructor(name, options) {
    super();
    this.name = name;
    this.options = options;
    this.users = 0;
    this.link = null;
    this.starting = null;
    this.info = null;
    /** Keys of images whose tokens the present worker holds. */
    this.encoded = new Set();
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

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * Loads the engine once; later calls share the first one's promise, until it has failed.
   * @param {{fresh?: boolean, device?: "cpu" | "webgpu"}} how `fresh` throws away stored files first
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

  async begin(how) {
    if (typeof WebAssembly !== "object" || typeof Worker !== "function") throw new ThisButError("unsupported");
    const { bundle, device } = this.options;
    const wanted = this.forced ?? device;
    const name = wanted === "auto" ? await adapter() : null;
    const choice = wanted === "auto" ? (name && remembered(bundle, name)) || "cpu" : wanted;
    try {
      await this.open(choice, how);
    } catch (reason) {
      // Only the device is at fault for these; damaged or missing files would fail on the CPU too.
      if (choice !== "webgpu" || !["device", "runtime", "timeout"].includes(reason.kind)) throw reason;
      remember(bundle, null);
      await this.open("cpu", how);
      this.info.fellBack = true;
    }
    this.emit("ready", this.info);
    if (wanted === "auto" && name && !remembered(bundle, name)) this.measureLater(name);
    return this.info;
  }

  async open(device, { fresh = false } = {}) {
    const link = this.connect((detail) => this.emit("progress", detail), device);
    this.link?.close();
    this.link = link;
    this.encoded.clear();
    this.info = await link.ask("load", { bundle: this.options.bundle, device, fresh }, { quiet: this.options.timeout });
  }

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

  /** When the page has been calm for a moment: is WebGPU faster here? Then it takes over. */
  async measureLater(name) {
    await new Promise((done) => setTimeout(done, 4000));
    const link = this.link;
    if (!link || !mayMeasure(this.info?.memory)) return;
    const { bundle } = this.options;
    try {
      const cpu = await link.ask("measure", {}, { quiet: 30_000 });
      this.trial = this.connect(() => {}, "webgpu");
      const info = await this.trial.ask("load", { bundle, device: "webgpu", fresh: false }, { quiet: 60_000 });
      const gpu = await this.trial.ask("measure", {}, { quiet: 30_000 });
      const wins = gpu.ms < cpu.ms * CLEARLY;
      remember(bundle, wins ? "webgpu" : "cpu", name, { cpu: cpu.ms, webgpu: gpu.ms });
      if (!wins || this.link !== link) return this.trial.close();
      link.close();
      this.link = this.trial;
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

  /** Runs `work` on a started worker, and once more on a new one if that worker died under it. */
  async robust(work) {
    await this.start();
    try {
      return await work(this.link);
    } catch (reason) {
      const died = !this.link || this.link.dead;
      if (!died && reason.kind !== "device") throw reason;
      if (reason.kind === "device") this.link?.fail(reason);
      await this.start();
      this.emit("device", this.info);
      return work(this.link);
    }
  }

  /**
   * @param {{image?: {key: string, pixels: () => Promise<object>, item?: number}, text: string, limit: number}} query
   * @returns {Promise<{hits: object[], timings: object}>}
   */
  query({ image, text, limit }) {
    return this.robust(async (link) => {
      const encode = image ? await this.encode(link, image) : 0;
      const body = { key: image?.key ?? null, exclude: image?.item ?? null, text, limit };
      const found = await link.ask("query", body, { quiet: this.options.timeout });
      return { ...found, timings: { ...found.timings, image: encode } };
    });
  }

  async encode(link, image) {
    if (this.encoded.has(image.key)) return 0;
    const { key, item } = image;
    const quiet = this.options.timeout;
    let told;
    if (this.info.upload === false) {
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

  /** Items of the gallery: `{items: [{index, title, image, …}], total}`. */
  browse(offset, limit) {
    return this.robust((link) => link.ask("browse", { offset, limit }));
  }
}
