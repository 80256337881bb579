// Pictures that stay on this device: rows and small pictures in IndexedDB, so that the next visit need not read them again. Two tabs
// never write at the same time, and hear of each other.

import { ThisButError } from "../../errors.js";
import { KEPT } from "../kept.js";

/** Name of the database, of the lock and of the channel. */
const NAME = "thisbut-own";
const PICTURES = "pictures";
const PLACES = "places";

/**
 * A picture as it is kept; `place`: the bundle, `form`: that of its row.
 * @typedef {{place: string, form: string, key: string, path: string, row: Uint8Array<ArrayBuffer>, thumb: Blob, width: number, height: number}} Kept
 */
/** How far reading was: of `total` pictures, `left` were still to be read. @typedef {{place: string, total: number, left: number}} Place */

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) => new Promise((done, failed) => ((request.onsuccess = () => done(request.result)), (request.onerror = () => failed(request.error))));

/** @param {IDBTransaction} change @returns {Promise<void>} */
const finished = (change) =>
  new Promise((done, failed) => {
    change.oncomplete = () => done();
    change.onabort = change.onerror = () => failed(change.error ?? new Error("aborted"));
  });

/** @returns {Promise<IDBDatabase>} */
async function database() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(PICTURES, { keyPath: ["place", "key"] }).createIndex("place", "place");
    request.result.createObjectStore(PLACES, { keyPath: "place" });
  };
  const base = await result(request);
  // A tab with a later version may go on.
  base.onversionchange = () => base.close();
  return base;
}

/** @param {string} place @param {boolean} there */
function mark(place, there) {
  try {
    if (there) localStorage.setItem(KEPT, place);
    else localStorage.removeItem(KEPT);
  } catch {
    // Then the folder is not opened by itself.
  }
}

export class Store {
  /** @param {string} place @param {string} form @param {(news: string) => void} heard of another tab: `"kept"`, `"forgotten"` */
  constructor(place, form, heard) {
    this.place = place;
    this.form = form;
    /** @type {?Promise<IDBDatabase>} */
    this.base = null;
    /** Ends this tab's turn at writing. @type {(() => void) | null} */
    this.release = null;
    this.channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(NAME) : null;
    if (this.channel) this.channel.onmessage = ({ data }) => data?.place === place && heard(data.news);
  }

  open() {
    return (this.base ??= database());
  }

  /** What is kept for this bundle; what an earlier model made of it is let go of. @returns {Promise<{pictures: Kept[], left: ?Place}>} */
  async load() {
    const base = await this.open();
    const change = base.transaction([PICTURES, PLACES], "readwrite");
    const stored = /** @type {Kept[]} */ (await result(change.objectStore(PICTURES).index("place").getAll(this.place)));
    const left = /** @type {Place | undefined} */ (await result(change.objectStore(PLACES).get(this.place)));
    const pictures = stored.filter(({ form }) => form === this.form);
    for (const { form, key } of stored) if (form !== this.form) change.objectStore(PICTURES).delete([this.place, key]);
    await finished(change);
    return { pictures, left: left ?? null };
  }

  /** Whether this tab may write: one does at a time. @returns {Promise<boolean>} */
  async turn() {
    if (this.release || !navigator.locks) return true;
    return new Promise((done, failed) => {
      const held = navigator.locks.request(NAME, { ifAvailable: true }, (lock) => {
        done(Boolean(lock));
        return lock ? new Promise((over) => (this.release = () => over(null))) : undefined;
      });
      held.catch(failed);
    });
  }

  /** @param {Omit<Kept, "place" | "form">[]} pictures @param {{total: number, left: number}} far how far reading is */
  async save(pictures, far) {
    const { place, form } = this;
    const change = (await this.open()).transaction([PICTURES, PLACES], "readwrite");
    const over = finished(change);
    try {
      for (const { key, path, row, thumb, width, height } of pictures) change.objectStore(PICTURES).put({ place, form, key, path, row, thumb, width, height });
      change.objectStore(PLACES).put({ place, ...far });
    } catch (reason) {
      over.catch(() => {});
      throw reason;
    }
    await over;
    mark(place, true);
  }

  /** Other tabs may write, and take over what is new. */
  done() {
    this.release?.();
    this.release = null;
    this.channel?.postMessage({ place: this.place, news: "kept" });
  }

  /** Nothing is kept any longer, of this bundle. */
  async forget() {
    const change = (await this.open()).transaction([PICTURES, PLACES], "readwrite");
    const keys = await result(change.objectStore(PICTURES).index("place").getAllKeys(this.place));
    for (const key of keys) change.objectStore(PICTURES).delete(key);
    change.objectStore(PLACES).delete(this.place);
    await finished(change);
    mark(this.place, false);
    this.channel?.postMessage({ place: this.place, news: "forgotten" });
  }

  close() {
    this.release?.();
    this.channel?.close();
    this.base?.then((base) => base.close(), () => {});
  }
}

/** Whether a failure says that there is no more room. @param {any} reason */
export const isFull = (reason) => reason?.name === "QuotaExceededError" || /quota/i.test(String(reason?.message ?? ""));

/** Asks that the browser does not clear what is kept; it may refuse. */
export async function persist() {
  await navigator.storage?.persist?.().catch(() => false);
}

/** Why nothing can be kept here, as an error. @param {unknown} reason */
export const unkept = (reason) => new ThisButError("image", { key: isFull(reason) ? "own.full" : "own.noStore", detail: String(reason) });
