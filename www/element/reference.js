// The image of a step: an uploaded file or a picture of the gallery, what is known of it, and how its pixels are got.

import { decode, inspect } from "./decode.js";
import { ThisButError } from "./errors.js";

let uploads = 0;

/**
 * @param {Blob} blob
 * @param {string} name the file's
 * @param {string} unnamed the title of a file without one
 * @returns {Promise<import("../types.js").Reference>}
 */
export async function fromFile(blob, name, unnamed) {
  await inspect(blob);
  // Decoded now, so that a bad file is refused at once and not in the middle of a search.
  /** @type {?Promise<import("../types.js").Pixels>} */
  let ready = decode(blob);
  await ready;
  const pixels = () => {
    const now = ready ?? decode(blob);
    ready = null;
    return now;
  };
  const title = name.replace(/\.[^.]+$/, "") || unnamed;
  return { key: `file:${++uploads}`, title, image: URL.createObjectURL(blob), soft: false, owned: true, pixels };
}

/**
 * @param {import("../types.js").Item} item a picture of the gallery
 * @returns {import("../types.js").Reference}
 */
export function fromItem(item) {
  const pixels = async () => {
    const answer = await fetch(item.image).catch(() => null);
    if (!answer?.ok) throw new ThisButError("network", { detail: item.image });
    return decode(await answer.blob());
  };
  return { key: `item:${item.index}`, title: item.title, image: item.image, soft: true, item: item.index, about: item, pixels };
}
