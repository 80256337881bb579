// Width and height from the first bytes of an image file, so that an enormous one is refused or shrunk before a
// browser tries to decode it. Unknown formats answer null: the browser then decides.

/** @param {Uint8Array} bytes @param {number} at @param {string} text */
const ascii = (bytes, at, text) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));

/** @param {DataView} view */
function jpeg(view) {
  let at = 2;
  while (at + 9 < view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    // Start-of-frame markers carry the size; C4, C8 and CC are tables that share their range.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    at += 2 + (marker >= 0xd0 && marker <= 0xd9 ? 0 : view.getUint16(at + 2));
  }
  return null;
}

/** @param {DataView} view @param {Uint8Array} bytes */
function webp(view, bytes) {
  if (ascii(bytes, 12, "VP8X")) {
    const at = (/** @type {number} */ i) => bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16);
    return { width: at(24) + 1, height: at(27) + 1 };
  }
  if (ascii(bytes, 12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (ascii(bytes, 12, "VP8 ")) {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  return null;
}

/** Bytes of a file's beginning that `sniff` wants: a JPEG may carry a long EXIF block first. */
export const SNIFF_BYTES = 256 * 1024;

/**
 * @param {ArrayBuffer} head the beginning of a file
 * @returns {{width: number, height: number} | null}
 */
export function sniff(head) {
  const view = new DataView(head);
  const bytes = new Uint8Array(head);
  if (bytes.length < 30) return null;
  if (ascii(bytes, 1, "PNG") && ascii(bytes, 12, "IHDR")) return { width: view.getUint32(16), height: view.getUint32(20) };
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpeg(view);
  if (ascii(bytes, 0, "GIF8")) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  if (ascii(bytes, 0, "RIFF") && ascii(bytes, 8, "WEBP")) return webp(view, bytes);
  if (ascii(bytes, 0, "BM")) return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
  return null;
}

/**
 * Where the last scan of a JPEG ends: at the end mark, or at what is no part of a picture (a video behind it).
 * @param {ArrayBuffer} file
 */
export function scansEnd(file) {
  const bytes = new Uint8Array(file);
  let at = 2;
  let scans = 0;
  while (at < bytes.length) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) break;
    const marker = bytes[at + 1];
    // Not a marker, a filling byte, or one that stands inside a scan.
    if (marker === 0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7)) at += marker === 0xff ? 1 : 2;
    else if (scans && !follows(bytes, at, marker)) return at;
    else {
      if (marker === 0xda) scans += 1;
      at += 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    }
  }
  return bytes.length;
}

/** Whether a segment that may stand behind a scan begins here: tables, or the head of another scan. @param {Uint8Array} bytes @param {number} at @param {number} marker */
function follows(bytes, at, marker) {
  const length = (bytes[at + 2] << 8) | bytes[at + 3];
  if (at + 2 + length > bytes.length) return false;
  if (marker === 0xda) return bytes[at + 4] >= 1 && bytes[at + 4] <= 4 && length === 6 + 2 * bytes[at + 4];
  if (marker === 0xc4) return (bytes[at + 4] & 0xef) <= 3 && length >= 19;
  return marker === 0xdb || marker === 0xdd || marker === 0xfe;
}
