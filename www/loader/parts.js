// The beginnings of files whose download was broken off: pieces in the browser's storage, beside the whole files of
// web/src/fetch.rs (which lets go of the pieces once the bundle is whole). Storage may be refused: then there are none.

/** Name of the Cache; that of web/src/fetch.rs. */
export const CACHE = "thisbut-bundle-v1";
/** Bytes of a piece: what a broken download loses at most. */
const PIECE = 1 << 20;
const MARK = "thisbut-part";

/** The storage, where there is one: outside of secure contexts there is not even its name. @returns {Promise<?Cache>} */
export async function storage() {
  try {
    return await caches.open(CACHE);
  } catch {
    return null;
  }
}

/** @param {string} url @param {number} offset */
function name(url, offset) {
  const address = new URL(url);
  address.searchParams.set(MARK, String(offset));
  return address.href;
}

/**
 * The stored beginning of a file: pieces without a gap.
 * @param {?Cache} cache
 * @param {string} url
 * @returns {Promise<Blob>}
 */
export async function beginning(cache, url) {
  const pieces = [];
  for (let have = 0; cache; ) {
    const piece = await cache.match(name(url, have)).then((found) => found?.blob());
    if (!piece?.size) break;
    pieces.push(piece);
    have += piece.size;
  }
  return new Blob(pieces);
}

/** @param {?Cache} cache @param {string} url */
export async function forget(cache, url) {
  const keys = (await cache?.keys()) ?? [];
  const path = new URL(url).pathname;
  const own = keys.filter((key) => new URL(key.url).searchParams.has(MARK) && new URL(key.url).pathname === path);
  await Promise.all(own.map((key) => cache?.delete(key)));
}

/** Stores what follows `offset` as it comes, piece by piece. */
export class Keeper {
  /** @param {?Cache} cache @param {string} url @param {number} offset */
  constructor(cache, url, offset) {
    this.cache = cache;
    this.url = url;
    this.offset = offset;
    /** @type {Uint8Array<ArrayBuffer>[]} */
    this.held = [];
    this.size = 0;
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes */
  async add(bytes) {
    this.held.push(bytes);
    this.size += bytes.byteLength;
    if (this.size >= PIECE) await this.flush();
  }

  async flush() {
    if (!this.size || !this.cache) return;
    const piece = new Blob(this.held);
    const at = name(this.url, this.offset);
    this.offset += this.size;
    this.held = [];
    this.size = 0;
    // A full disk: the rest comes without a net.
    await this.cache.put(at, new Response(piece)).catch(() => (this.cache = null));
  }
}
