// The image of a step: an uploaded file or a picture of the gallery, what is known of it, and how its pixels are got.

import { ThisButError } from "./errors.js";

/** @import { Item, Pixels, Reference } from "../types.js" */

/**
 * The pixels of a file.
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Pixels>}
 */
async function decode(blob, name) {
  const { decode } = await import("./later/decode.js").catch((reason) => {
    throw new ThisButError("module", { detail: String(reason) });
  });
  return decode(blob, name);
}

let uploads = 0;

/** The visitor's own pictures, by their addresses. @type {Map<string, Blob>} */
export const own = new Map();

/** ms that another site has to send a picture. */
const PATIENCE = 15_000;

/**
 * @param {Blob} blob
 * @param {string} name the file's
 * @param {string} unnamed the title of a file without one
 * @param {string} image an address of the blob, which the reference then owns
 * @returns {Promise<Reference>}
 */
export async function fromFile(blob, name, unnamed, image) {
  // Decoded now, so that a bad file is refused at once and not in the middle of a search.
  /** @type {?Promise<Pixels>} */
  let ready = decode(blob, name || unnamed);
  await ready;
  const pixels = () => {
    const now = ready ?? decode(blob, name || unnamed);
    ready = null;
    return now;
  };
  const title = name.replace(/\.[^.]+$/, "") || unnamed;
  return { key: `file:${++uploads}`, title, image, soft: false, blob, pixels };
}

/**
 * @param {Item} item a picture of the gallery
 * @returns {Reference}
 */
export function fromItem(item) {
  const pixels = async () => {
    const file = own.get(item.image);
    if (file) return decode(file, item.title);
    const answer = await fetch(item.image).catch(() => null);
    // Offline, only pictures that were seen or kept are there: the search itself is not at fault.
    if (!answer?.ok) throw new ThisButError(navigator.onLine === false || !answer ? "picture" : "unreachable", { detail: item.image });
    return decode(await answer.blob(), item.title);
  };
  return { key: `item:${item.index}`, title: item.title, image: item.image, soft: !item.own, item: item.index, id: item.id, about: item, pixels };
}

/**
 * A picture at an address, where its site and this page's content policy allow that it is read.
 * @param {string} address
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function fromLink(address) {
  const name = address.startsWith("data:") ? "" : address;
  try {
    const url = new URL(address, document.baseURI);
    const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE), credentials: "omit" });
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
    const blob = await answer.blob();
    if (!blob.type.startsWith("image/")) throw new ThisButError("image", { key: "image.none", detail: `${address}: ${blob.type}` });
    return { blob, name: decodeURIComponent(url.pathname.split("/").pop() ?? "") };
  } catch (reason) {
    if (reason instanceof ThisButError) throw reason;
    const short = name.length > 60 ? `${name.slice(0, 59)}…` : name;
    throw new ThisButError("image", { key: "image.link", values: { name: short }, detail: `${name.slice(0, 200)}: ${reason}` });
  }
}
