// An image file → RGBA bytes. The browser only decodes; everything after it (padding, resizing, cropping) is the
// model crate's, so that the page and the command line see the same pixels.

import { ThisButError } from "./errors.js";
import { SNIFF_BYTES, sniff } from "./sniff.js";

/** More pixels than this are refused: decoding them takes more memory than a phone gives a page. */
export const MAX_PIXELS = 80e6;
/** Images with a longer side are shrunk while decoding. */
export const MAX_SIDE = 4096;

/** @param {string} key @param {Record<string, unknown>} [values] @param {string} [detail] */
const failed = (key, values, detail) => new ThisButError("image", { key, values, detail });

/** @param {number} width @param {number} height */
function shrunk(width, height) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * Refuses what is not worth decoding. Reads only the beginning of the file.
 * @param {Blob} blob
 */
export async function inspect(blob) {
  if (!blob.size) throw failed("image.empty");
  const size = sniff(await blob.slice(0, SNIFF_BYTES).arrayBuffer());
  if (!size && blob.type && !blob.type.startsWith("image/")) throw failed("image.type");
  if (size && size.width * size.height > MAX_PIXELS) {
    throw failed("image.large", { n: Math.round((size.width * size.height) / 1e6), max: MAX_PIXELS / 1e6 });
  }
  return size;
}

/**
 * Decodes the first frame of an image. Transparent pixels stay so: the model's configuration says what is behind them.
 * @param {Blob} blob
 * @returns {Promise<import("../types.js").Pixels>}
 */
export async function decode(blob) {
  const known = await inspect(blob);
  let bitmap;
  try {
    const big = known && Math.max(known.width, known.height) > MAX_SIDE;
    // Only one side is given, so that a photo turned by its EXIF orientation keeps its proportions.
    const side = known && known.width >= known.height ? "resizeWidth" : "resizeHeight";
    bitmap = await createImageBitmap(blob, big ? { [side]: MAX_SIDE, resizeQuality: "high" } : undefined);
  } catch (reason) {
    throw failed(blob.type.startsWith("image/") || known ? "error.image" : "image.type", {}, String(reason));
  }
  try {
    const { width, height } = shrunk(bitmap.width, bitmap.height);
    const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
    if (!context) throw failed("error.image", {}, "no 2d context");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    return { width, height, rgba: context.getImageData(0, 0, width, height).data.buffer };
  } finally {
    bitmap.close();
  }
}
