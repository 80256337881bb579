// Counts what is transferred: compressed bytes, not those that come out of them. One total, known once the server has
// said how long each file is that has to come.

/** @import { Progress } from "../types.js" */

/** ms that a server has to say a file's length; after that the unpacked size counts. */
const PATIENCE = 4000;

/**
 * How many bytes a file takes on its way, from its head alone. Servers that do not say give the unpacked size.
 * @param {string} url
 * @param {number} unpacked bytes
 */
async function length(url, unpacked) {
  try {
    const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(PATIENCE) });
    const said = Number(answer.headers.get("content-length"));
    return answer.ok && said > 0 ? Math.min(said, unpacked) : unpacked;
  } catch {
    return unpacked;
  }
}

export class Meter {
  /** @param {(progress: Progress) => void} tell */
  constructor(tell) {
    this.tell = tell;
    /** Of each file: bytes on the wire, unpacked bytes, and how many of the latter are there. @type {Map<string, {wire: number, unpacked: number, here: number}>} */
    this.files = new Map();
    /** @type {Progress} */
    this.now = { stage: "runtime", loaded: 0, total: null };
    this.known = false;
  }

  /**
   * A file that has to be fetched. `here` of its bytes are stored from an earlier visit.
   * @param {string} url
   * @param {number} unpacked
   */
  async expect(url, unpacked, here = 0) {
    // Nothing counts before its length is known: what is shown would have to go back.
    const file = { wire: 0, unpacked, here };
    this.files.set(url, file);
    file.wire = await length(url, unpacked);
  }

  /** Every file is expected: the total can be told. */
  settle() {
    this.known = true;
    this.report();
  }

  /** Bytes that a file has unpacked so far. @param {string} url @param {number} here */
  count(url, here) {
    const file = this.files.get(url);
    if (!file) return;
    file.here = Math.max(file.here, Math.min(here, file.unpacked));
    this.report();
  }

  /** @param {Partial<Progress>} [news] */
  report(news) {
    const files = [...this.files.values()];
    const loaded = files.reduce((sum, { wire, unpacked, here }) => sum + (unpacked ? (wire * here) / unpacked : 0), 0);
    Object.assign(this.now, news);
    this.now.loaded = Math.max(this.now.loaded, Math.round(loaded));
    if (this.known) this.now.total = files.reduce((sum, { wire }) => sum + wire, 0);
    this.tell({ ...this.now });
  }
}
