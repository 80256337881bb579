// An image file → RGBA bytes. The browser only decodes; everything after it (padding, resizing, cropping) is the
// model crate's, so that the page and the command line see the same pixels.

import { ThisButError } from "../errors.js";
import { SNIFF_BYTES, scansEnd, sniff } from "./sniff.js";

/** More pixels than this are refused: decoding them takes more memory than a phone gives a page. */
export const MAX_PIXELS = 80e6;
/** A JPEG's end mark. */
const END = new Uint8Array([0xff, 0xd9]);
/** Images with a longer side are shrunk while decoding. */
export const MAX_SIDE = 4096;

/** @param {string} key @param {Record<string, unknown>} values @param {string} [detail] */
const failed = (key, values, detail) => new ThisButError("image", { key, values, detail });

/** @param {number} width @param {number} height @param {number} most */
function shrunk(width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  // Browsers without an OffscreenCanvas have none in a worker either: there is a document.
  return Object.assign(/** @type {any} */ (globalThis).document.createElement("canvas"), { width, height });
}

/**
 * Refuses what is not worth decoding. Reads only the beginning of the file.
 * @param {Blob} blob
 * @param {string} name what a refusal calls it
 */
export async function inspect(blob, name) {
  if (!blob.size) throw failed("image.empty", { name });
  const size = sniff(await blob.slice(0, SNIFF_BYTES).arrayBuffer());
  if (!size && blob.type && !blob.type.startsWith("image/")) throw failed("image.type", { name });
  if (size && size.width * size.height > MAX_PIXELS) {
    throw failed("image.large", { name, n: Math.round((size.width * size.height) / 1e6), max: MAX_PIXELS / 1e6 });
  }
  return size;
}

/** The bytes of a JPEG, nothing for another file. @param {Blob} blob */
async function jpegOf(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  return first === 0xff && second === 0xd8 ? await blob.arrayBuffer() : undefined;
}

/**
 * A bitmap of an image. Chromium makes none of a JPEG without an end mark, even where the picture is whole: it gets one behind the
 * last scan. The engine tells such a file from one that is cut off.
 * @param {Blob} blob @param {ArrayBuffer | undefined} file its bytes, where it is a JPEG @param {ImageBitmapOptions} [options]
 */
async function bitmapOf(blob, file, options) {
  try {
    return await createImageBitmap(blob, options);
  } catch (reason) {
    if (!file) throw reason;
    return await createImageBitmap(new Blob([file.slice(0, scansEnd(file)), END], { type: "image/jpeg" }), options);
  }
}

/**
 * Decodes the first frame of an image. Transparent pixels stay so: the model's configuration says what is behind them.
 * @param {Blob} blob
 * @param {string} name what a refusal calls it
 * @param {number} [most] longest side of what is given
 * @returns {Promise<import("../../types.js").Pixels>}
 */
export async function decode(blob, name, most = MAX_SIDE) {
  const known = await inspect(blob, name);
  let bitmap, file;
  try {
    const big = known && Math.max(known.width, known.height) > most;
    // Only one side is given, so that a photo turned by its EXIF orientation keeps its proportions.
    const side = known && known.width >= known.height ? "resizeWidth" : "resizeHeight";
    file = await jpegOf(blob);
    bitmap = await bitmapOf(blob, file, big ? { [side]: most, resizeQuality: "high" } : undefined);
  } catch (reason) {
    throw failed(blob.type.startsWith("image/") || known ? "error.image" : "image.type", { name }, String(reason));
  }
  try {
    const { width, height } = shrunk(bitmap.width, bitmap.height, most);
    const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
    if (!context) throw failed("error.image", { name }, "no 2d context");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    return { width, height, rgba: context.getImageData(0, 0, width, height).data.buffer, file };
  } finally {
    bitmap.close();
  }
}
