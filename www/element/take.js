// Making an image the reference: the newest choice wins, however long an older one takes.

import { ThisButError } from "./errors.js";
import { fromFile, fromItem, fromLink } from "./reference.js";

/** @import { Item } from "../types.js" */
/** @import { Search } from "./search.js" */

/**
 * A file or an address, read while its picture is shown.
 * @param {Search} search
 * @param {Blob | string} source
 * @param {string} name
 * @param {() => void} still throws when something newer was chosen
 */
async function read(search, source, name, still) {
  const { view, t } = search;
  if (view.slot.closed) throw new ThisButError("image", { key: "image.gallery" });
  view.live.say(t("slotReading"));
  view.slot.reading("");
  const file = typeof source === "string" ? await fromLink(source) : { blob: source, name };
  still();
  const image = URL.createObjectURL(file.blob);
  try {
    search.view.slot.reading(image);
    const reference = await fromFile(file.blob, file.name, t("reference"), image);
    still();
    return reference;
  } catch (reason) {
    URL.revokeObjectURL(image);
    throw reason;
  }
}

/** What cannot be an `id`: an address in full. */
const ADDRESS = /^(https?|data|blob):/i;

/**
 * The picture of the gallery that is meant, or what is to be read. A text is an `id` where the gallery has that one, else an address.
 * @param {Search["client"]} client
 * @param {Blob | string | number | Item | {id: string}} source
 * @returns {Promise<Blob | string | Item>}
 */
async function meant(client, source) {
  if (typeof source === "string") return (!ADDRESS.test(source) && (await client.find(source))) || source;
  if (typeof source === "number") return client.item(source);
  if (source instanceof Blob || "index" in source) return source;
  return client.item(source.id);
}

/**
 * Makes an image the reference: a file, an address, or a picture of the gallery.
 * @param {Search} search
 * @param {Blob | string | number | Item | {id: string}} source
 * @param {string} name of a file
 * @returns {Promise<Item[]>}
 */
export async function take(search, source, name = "") {
  const turn = ++search.chosen;
  const still = () => {
    if (turn !== search.chosen || !search.view) throw new ThisButError("superseded");
  };
  search.view.error.show(null);
  search.aside = "";
  let reference;
  let words;
  try {
    const what = await meant(search.client, source);
    still();
    if (what instanceof Blob || typeof what === "string") {
      reference = await read(search, what, name, still);
      const { tokens, draft } = search.step;
      words = { tokens, draft };
    } else {
      reference = fromItem(what);
      words = search.kept();
    }
  } catch (reason) {
    const error = ThisButError.from(reason, "image");
    if (turn === search.chosen && search.view) {
      search.render();
      search.fail(error, true);
    }
    throw error;
  }
  return search.refer(reference, words);
}
