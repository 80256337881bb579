// Zip archives: read entry by entry, without the archive in memory; and written without compression, for pictures have theirs.

import { ThisButError } from "../../errors.js";

/** Most bytes of one unpacked file, and of an archive's list. */
const MOST = 256 << 20;
const MOST_LIST = 64 << 20;
/** Bytes of the end record, and of the longest comment behind it. */
const END = 22;
const COMMENT = 0xffff;

/** @param {string} name @param {string} detail */
const broken = (name, detail) => new ThisButError("image", { key: "zip.bad", values: { name }, detail });

/** @param {Blob} blob @param {number} from @param {number} size */
const view = async (blob, from, size) => new DataView(await blob.slice(from, from + size).arrayBuffer());

/** Where the archive's list is. @param {Blob} blob @param {string} name */
async function list(blob, name) {
  const from = Math.max(0, blob.size - END - COMMENT);
  const tail = await view(blob, from, END + COMMENT);
  for (let at = tail.byteLength - END; at >= 0; at--) {
    if (tail.getUint32(at, true) !== 0x06054b50) continue;
    const [count, size, offset] = [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
    if (offset === 0xffffffff || size > MOST_LIST || offset + size > blob.size) throw broken(name, "zip64, or the list is too large");
    return { count, records: await view(blob, offset, size) };
  }
  throw broken(name, "no end record");
}

/**
 * An entry's bytes, unpacked; never more than the archive says.
 * @param {Blob} blob
 * @param {{name: string, method: number, packed: number, size: number, offset: number}} entry
 * @returns {Promise<Blob>}
 */
async function unpack(blob, { name, method, packed, size, offset }) {
  const head = await view(blob, offset, 30);
  if (head.byteLength < 30 || head.getUint32(0, true) !== 0x04034b50) throw broken(name, "no entry where the list says");
  const from = offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const body = blob.slice(from, from + packed);
  if (body.size !== packed) throw broken(name, "cut off");
  if (method === 0) return body;
  const reader = body.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const parts = [];
  for (let all = 0; ; ) {
    const { done, value } = await reader.read().catch((reason) => {
      throw broken(name, String(reason));
    });
    if (done) return new Blob(parts);
    all += value.byteLength;
    if (all > size) {
      await reader.cancel().catch(() => {});
      throw broken(name, "more bytes than the list says");
    }
    parts.push(value);
  }
}

/**
 * The files of an archive.
 * @param {Blob} blob
 * @param {string} archive its name, for refusals
 * @returns {AsyncGenerator<{name: string, size: number, open: () => Promise<Blob>}>}
 */
export async function* entries(blob, archive) {
  const { count, records } = await list(blob, archive);
  const text = new TextDecoder();
  for (let at = 0, number = 0; number < count; number++) {
    if (at + 46 > records.byteLength || records.getUint32(at, true) !== 0x02014b50) throw broken(archive, `entry ${number} of ${count} is unreadable`);
    const [flags, method] = [records.getUint16(at + 8, true), records.getUint16(at + 10, true)];
    const [packed, size, offset] = [records.getUint32(at + 20, true), records.getUint32(at + 24, true), records.getUint32(at + 42, true)];
    const [long, extra, comment] = [28, 30, 32].map((field) => records.getUint16(at + field, true));
    if (at + 46 + long > records.byteLength) throw broken(archive, "a name is cut off");
    const name = text.decode(new Uint8Array(records.buffer, at + 46, long));
    at += 46 + long + extra + comment;
    if (name.endsWith("/")) continue;
    const open = async () => {
      if (flags & 1) throw broken(name, "encrypted");
      if ((method !== 0 && method !== 8) || size > MOST) throw broken(name, `method ${method}, ${size} bytes`);
      return unpack(blob, { name, method, packed, size, offset });
    };
    yield { name, size, open };
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** Fields of two and four bytes. @param {[2 | 4, number][]} fields */
function packed(fields) {
  const out = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) out.setUint16(at, value, true);
    else out.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(out.buffer);
}

/** Writes an archive: each file is held by the archive's blob alone, so that thousands of pictures need no room of their own. */
export class Archive {
  constructor() {
    /** @type {BlobPart[]} */
    this.parts = [];
    /** @type {Uint8Array<ArrayBuffer>[]} */
    this.records = [];
    this.size = 0;
  }

  /** @param {string} path @param {Blob} blob */
  async add(path, blob) {
    const name = new TextEncoder().encode(path);
    const sum = crc(new Uint8Array(await blob.arrayBuffer()));
    // Version 2.0, names in UTF-8, stored, the first day of 1980: the same pictures give the same archive.
    /** @type {[2 | 4, number][]} */
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, sum], [4, blob.size], [4, blob.size], [2, name.length], [2, 0]];
    this.records.push(packed([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, this.size]]), name);
    this.parts.push(packed([[4, 0x04034b50], ...common]), name, blob);
    this.size += 30 + name.length + blob.size;
    if (this.size > 0xfffffffe || this.records.length > 2 * 0xfffe) throw new ThisButError("image", { key: "zip.large" });
  }

  /** @returns {Blob} */
  close() {
    const count = this.records.length / 2;
    const list = this.records.reduce((sum, { length }) => sum + length, 0);
    const end = packed([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, list], [4, this.size], [2, 0]]);
    return new Blob([...this.parts, ...this.records, end], { type: "application/zip" });
  }
}
