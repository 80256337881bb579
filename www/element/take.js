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

/**
 * Makes an image the reference: a file, an address, or a picture of the gallery.
 * @param {Search} search
 * @param {Blob | string | number | Item} source
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
    if (source instanceof Blob || typeof source === "string") {
      reference = await read(search, source, name, still);
      const { tokens, draft } = search.step;
      words = { tokens, draft };
    } else {
      const item = typeof source === "number" ? await search.client.item(source) : source;
      still();
      reference = fromItem(item);
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
