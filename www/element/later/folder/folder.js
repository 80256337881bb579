// The visitor's own folder: its pictures, how they come into the search, and how long they stay. One for a search and its bundle; the
// panel shows it, helpers read for it, the store keeps it.

import { ThisButError } from "../../errors.js";
import { en } from "../../languages/en.js";
import { own } from "../../reference.js";
import { define, translator } from "../../strings.js";
import { Helpers } from "./helpers.js";
import { Store, isFull, persist, unkept } from "./keep.js";
import { Panel } from "./panel.js";
import { publish } from "./publish.js";
import { Work } from "./work.js";
import { table } from "./words.js";

/** @import { Indexed, Item, Scope } from "../../../types.js" */
/** @import { Search } from "../../search.js" */
/** @typedef {import("./files.js").Entry} Entry */

/** A picture of the visitor. @typedef {{key: string, path: string, title: string, url: string, row: Uint8Array<ArrayBuffer>, thumb: Blob, width: number, height: number}} Picture */

/** Pictures that are handed to the engine, or kept, at a time. */
const BATCH = 1000;
const SAVED = 32;
/** ms between two looks for better answers, and between two paints. */
const LOOK = 2500;
const PAINT = 150;

/** The sentences of words.js in other languages. @type {Record<string, () => Promise<{table: Record<string, string>}>>} */
const words = {
  ar: () => import("./words.ar.js"),
  de: () => import("./words.de.js"),
  es: () => import("./words.es.js"),
  fr: () => import("./words.fr.js"),
  it: () => import("./words.it.js"),
  ja: () => import("./words.ja.js"),
  nl: () => import("./words.nl.js"),
  pl: () => import("./words.pl.js"),
  pt: () => import("./words.pt.js"),
  sv: () => import("./words.sv.js"),
  zh: () => import("./words.zh.js"),
};

/** @type {WeakMap<Search, Folder>} */
const folders = new WeakMap();

export class Folder {
  /** @param {Search} search */
  constructor(search) {
    this.search = search;
    this.client = search.client;
    /** @type {Picture[]} */
    this.pictures = [];
    /** @type {Set<string>} */
    this.keys = new Set();
    /** So many are in the engine, and so many are kept. */
    this.added = 0;
    this.saved = 0;
    this.keeping = false;
    this.bytes = 0;
    /** Images of the shipped gallery. */
    this.shipped = 0;
    /** @type {?Work} */
    this.work = null;
    /** The work before: what it left aside is still shown. @type {?Work} */
    this.last = null;
    /** @type {?Promise<void>} */
    this.running = null;
    /** What reading left over at an earlier visit. @type {?import("./keep.js").Place} */
    this.left = null;
    /** What the visitor is told, and what went wrong. @type {string} */
    this.said = "";
    /** @type {?ThisButError} */
    this.error = null;
    /** @type {?Promise<void>} */
    this.flushing = null;
    /** @type {?Promise<void>} */
    this.saving = null;
    this.timer = 0;
    this.looked = 0;
    this.helpers = new Helpers(this.client);
    /** @type {?Store} */
    this.store = null;
    /** @type {Panel} */
    this.panel = new Panel(this);
    this.client.addEventListener("ready", this.renewed);
    this.client.addEventListener("device", this.renewed);
    this.ready = this.begin();
    this.ready.catch((reason) => this.fail(reason));
  }

  async begin() {
    const info = await this.client.start();
    if (info.upload === false) throw new ThisButError("image", { key: "image.gallery" });
    this.shipped = info.count;
    this.helpers.warm();
    this.store = new Store(this.client.options.bundle, info.rows, (news) => (news === "forgotten" ? this.drop() : this.load()));
    await this.load();
  }

  /** The visitor's pictures of an earlier visit, or another tab. */
  async load() {
    if (!this.store || this.work || this.saved < this.pictures.length) return;
    try {
      const { pictures, left } = await this.store.load();
      this.left = left?.left ? left : null;
      this.keeping ||= pictures.length > 0;
      for (const { key, path, row, thumb, width, height } of pictures) if (!this.keys.has(key)) this.put(key, path, { row, thumb, width, height });
      this.saved = this.pictures.length;
      await this.flush();
    } catch (reason) {
      // A private window: there is nothing to load, and keeping is refused when it is asked for.
      console.warn("this-but: nothing is kept here:", reason);
    }
    this.changed();
  }

  /** @param {unknown} reason */
  fail(reason) {
    this.error = ThisButError.from(reason);
    this.search.view?.live.say(this.error.sentences(this.search.t).what);
    this.changed();
  }

  /** Says a sentence, and shows it. @param {string} text */
  say(text) {
    this.said = text;
    this.search.view?.live.say(text);
    this.changed();
  }

  /** Pictures, folders, archives. @param {import("../own.js").Source[]} sources */
  async take(sources) {
    Object.assign(this, { said: "", error: null, left: null });
    this.panel.show(true);
    await this.ready;
    const work = (this.work ??= new Work({ has: (key) => this.keys.has(key), read: (entry, picture) => this.read(entry, picture), changed: () => this.changed() }));
    const listed = work.list(sources).catch((reason) => this.fail(reason));
    this.running ??= this.run(work).catch((reason) => this.fail(reason));
    await listed;
    await this.running;
  }

  /** @param {Work} work */
  async run(work) {
    const { t } = this.search;
    const before = this.pictures.length;
    try {
      if (this.keeping) await this.turn();
      await this.helpers.run({ next: () => work.next(), done: (entry, picture) => work.done(entry, picture), bad: (entry, why) => work.failed(entry, why) });
    } finally {
      this.work = null;
      this.running = null;
      this.last = work;
    }
    await this.flush();
    await this.save(work);
    this.store?.done();
    await this.better(true);
    if (this.search.view && !this.search.browsing) this.search.found();
    const n = this.pictures.length;
    this.say(!work.total && !work.twice && n === before ? t("ownNone") : t(work.stopped ? "ownStopped" : "ownReady", { n }));
  }

  /** @param {Entry} entry @param {Indexed} picture */
  read({ key, path, file }, picture) {
    this.put(key, path, picture, file);
    this.flush().catch((reason) => this.fail(reason));
    if (this.pictures.length - this.saved >= SAVED) this.save(this.work);
  }

  /** @param {string} key @param {string} path @param {Indexed} picture @param {File} [file] */
  put(key, path, { row, thumb, width, height }, file) {
    const url = URL.createObjectURL(thumb);
    // A search from the picture starts from the file itself, while it is there.
    own.set(url, file ?? thumb);
    const title = (path.split("/").pop() ?? path).replace(/\.[^.]+$/, "");
    this.pictures.push({ key, path, title, url, row, thumb, width, height });
    this.keys.add(key);
    this.bytes += thumb.size + row.byteLength;
  }

  /** The engine is another one: it knows nothing of these pictures yet. */
  renewed = () => {
    this.added = 0;
    this.flush().catch((reason) => this.fail(reason));
  };

  /** Hands the engine what it has not yet; one hand-over at a time. */
  flush() {
    this.flushing ??= this.hand().finally(() => (this.flushing = null));
    return this.flushing;
  }

  async hand() {
    while (this.added < this.pictures.length) {
      const link = this.client.link ?? (await this.client.start(), this.client.started());
      const some = this.pictures.slice(this.added, this.added + BATCH);
      const items = some.map(({ title, url }) => ({ title, image: url }));
      const { count, own } = await link.ask("add", { items, rows: some.map(({ row }) => row) }, { quiet: this.client.patience });
      if (link !== this.client.link) continue;
      this.added = own;
      this.counted(count, own);
    }
    this.better(false).catch(() => {});
  }

  /** @param {number} count @param {number} own */
  counted(count, own) {
    this.shipped = count - own;
    this.tell(own);
  }

  /** So many images are searched as the heading says. @param {number} own */
  tell(own) {
    const { scope } = this.search.scope;
    if (this.client.info) this.client.info.count = scope === "own" ? own : this.shipped + (scope === "shipped" ? 0 : own);
    this.changed();
  }

  /** Asks again where an answer is shown that new pictures may belong to, and shows it if it is another one. @param {boolean} now */
  async better(now) {
    const { search } = this;
    const { step } = search;
    const time = performance.now();
    if (!search.view || search.browsing || step.answered === null || search.steps.stale || search.scope.scope === "shipped" || (!now && time - this.looked < LOOK)) return;
    this.looked = time;
    const found = await this.client.query({ image: step.reference, text: search.steps.text, limit: search.limit, refined: { ...step.refined, ...search.scope } });
    const same = found.hits.every(({ index }, at) => step.hits?.[at]?.index === index);
    if (!same && step === search.step && !search.steps.stale) search.run();
  }

  /** An item of the search for a picture. @param {number} at @returns {Item} */
  item(at) {
    const { title, url } = this.pictures[at];
    return { index: this.shipped + at, id: `own:${at}`, title, image: url, own: true, tags: [] };
  }

  /** Which images are ranked. @param {Scope} scope */
  within(scope) {
    const { search } = this;
    search.scope = scope === "both" ? {} : { scope };
    this.tell(this.added);
    if (!search.browsing && search.view) search.run();
  }

  /** @returns {Promise<boolean>} */
  async turn() {
    const mine = Boolean(await this.store?.turn());
    if (!mine) {
      this.keeping = false;
      this.say(this.search.t("ownElsewhere"));
    }
    return mine;
  }

  /** Keeps the pictures at this device, or no longer. @param {boolean} on */
  async keep(on) {
    this.error = null;
    this.keeping = on;
    this.changed();
    try {
      if (!on) {
        this.saved = 0;
        await this.store?.forget();
      } else if (await this.turn()) {
        persist();
        await this.save(this.work);
        if (!this.work) this.store?.done();
      }
    } catch (reason) {
      this.keeping = false;
      this.fail(unkept(reason));
    }
  }

  /** Keeps what is not kept yet, where the visitor wants it. @param {?Work} work */
  save(work) {
    if (!this.keeping || !this.store) return Promise.resolve();
    this.saving ??= this.away(work).finally(() => (this.saving = null));
    return this.saving;
  }

  /** @param {?Work} work */
  async away(work) {
    try {
      do {
        const some = this.pictures.slice(this.saved, this.saved + BATCH);
        const left = work && !work.stopped ? work.total - work.over : 0;
        await this.store?.save(some, { total: this.pictures.length + left, left });
        this.saved += some.length;
      } while (this.saved < this.pictures.length && this.keeping);
    } catch (reason) {
      this.keeping = false;
      this.store?.done();
      if (!isFull(reason)) console.warn("this-but: pictures cannot be kept:", reason);
      this.fail(unkept(reason));
    }
  }

  /** All pictures are gone: from the search, from this page and from the device. */
  async forget() {
    this.work?.stop();
    await this.running;
    this.keeping = false;
    await this.store?.forget().catch(() => {});
    await this.drop();
    this.say(this.search.t("ownForgotten"));
  }

  /** All pictures are gone from this page. */
  async drop() {
    this.work?.stop();
    const { client, search } = this;
    for (const { url } of this.pictures) {
      URL.revokeObjectURL(url);
      own.delete(url);
    }
    for (const key of [...client.encoded]) if (key.startsWith("item:") && Number(key.slice(5)) >= this.shipped) client.encoded.delete(key);
    Object.assign(this, { pictures: [], keys: new Set(), added: 0, saved: 0, bytes: 0, left: null, last: null, keeping: false, error: null });
    search.scope = {};
    if (client.info && client.link) {
      const { count, own } = await client.link.ask("forget", {}, { quiet: client.patience });
      this.counted(count, own);
    }
    const mine = search.steps.list.some(({ reference, hits, refined }) => reference?.about?.own || hits?.some(({ own }) => own) || refined.also.some(({ about }) => about?.own));
    if (mine) search.restart();
    this.changed();
  }

  /** The pictures as a bundle, for the visitor to save. */
  async publish() {
    this.error = null;
    const { t } = this.search;
    try {
      await this.flush();
      const blob = await publish(this.client, this.pictures, t("own"), (part) => this.panel.publishing(part));
      this.panel.save(blob);
      this.say(t("ownPublished"));
    } catch (reason) {
      this.fail(reason);
    } finally {
      this.panel.publishing(null);
    }
  }

  /** Paints soon: thousands of changes are some paints. */
  changed() {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.panel.paint();
    }, PAINT);
  }

  /** The panel is shut: helpers are let go of when nobody reads. */
  rest() {
    if (this.work) return;
    this.helpers.close();
    this.helpers = new Helpers(this.client);
  }

  /** Another bundle: its pictures are read by another model. */
  leave() {
    this.work?.stop();
    this.client.removeEventListener("ready", this.renewed);
    this.client.removeEventListener("device", this.renewed);
    this.helpers.close();
    this.store?.close();
    for (const { url } of this.pictures) {
      URL.revokeObjectURL(url);
      own.delete(url);
    }
  }
}

/** Sentences, for the language of the view. @param {Search} search */
async function learn(search) {
  Object.assign(en, table);
  const tag = search.t.lang.split("-")[0];
  if (Object.hasOwn(words, tag)) define(tag, (await words[tag]()).table);
  return translator(search.t.lang);
}

/**
 * The folder of a search.
 * @param {Search} search
 * @returns {Promise<Folder>}
 */
export async function open(search) {
  search.t = await learn(search);
  let folder = folders.get(search);
  if (folder && folder.client !== search.client) {
    folder.leave();
    folder = undefined;
  }
  folder ??= new Folder(search);
  folders.set(search, folder);
  return folder;
}
