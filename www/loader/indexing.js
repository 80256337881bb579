// The visitor's own pictures: decoded, read by the engine, and made small for showing. In the worker, so that the page stays quick
// and no more than one decoded picture a worker is in memory.

import { decode } from "../element/later/decode.js";

/** @import { Indexed, Module, Pixels } from "../types.js" */

/** Longest side that the engine gets: several times what a model looks at. */
const SEEN = 1024;
/** Longest side of what is shown. */
const THUMB = 320;
const QUALITY = 0.8;

/** A small JPEG; what is transparent becomes white. @param {Pixels} pixels @returns {Promise<Blob>} */
async function small({ width, height, rgba }) {
  const scale = Math.min(1, THUMB / Math.max(width, height));
  const [w, h] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const bitmap = await createImageBitmap(new ImageData(new Uint8ClampedArray(rgba), width, height), { resizeWidth: w, resizeHeight: h, resizeQuality: "high" });
  const canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no 2d context");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, w, h);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}

/**
 * @param {Module} engine
 * @param {{id: number, blob: Blob, name: string}} question
 * @returns {Promise<Indexed>}
 */
export async function index(engine, { id, blob, name }) {
  const { width, height, rgba, file } = await decode(blob, name, SEEN).catch(({ kind, message, key, values, detail }) => {
    // An error's own fields do not survive the way to the page.
    throw { kind: kind ?? "image", message, mend: "", key, values, detail };
  });
  const answer = await engine.handle(/** @type {any} */ ({ type: "index", id, key: "", width, height, rgba, file }));
  const { row } = /** @type {{row: Uint8Array<ArrayBuffer>}} */ (answer);
  return { row, thumb: await small({ width, height, rgba }), width, height };
}
