// The way to the visitor's own folder: a button, and what is dropped on the page where it is more than one picture. The folder itself
// is fetched when one of them is used, or when pictures were kept at an earlier visit.

import { h, icon } from "../dom.js";
import { KEPT } from "./kept.js";

/** @import { Search } from "../search.js" */
/** @import { Folder } from "./folder/folder.js" */

/** @typedef {FileSystemEntry | File} Source */

/** The button's words, for languages that the page has defined too. @type {Record<string, string>} */
const NAMES = {
  en: "Your own pictures",
  ar: "صورك الخاصة",
  de: "Eigene Bilder",
  es: "Tus propias imágenes",
  fr: "Vos propres images",
  it: "Le tue immagini",
  ja: "自分の画像",
  nl: "Je eigen afbeeldingen",
  pl: "Twoje własne obrazy",
  pt: "Suas próprias imagens",
  sv: "Dina egna bilder",
  zh: "你自己的图片",
};

/** @param {Search} search @returns {Promise<Folder>} */
async function open(search) {
  const { open } = await import("./folder/folder.js");
  return open(search);
}

/** What a drop brings; entries can be asked for during the event alone. @param {DataTransfer} data @returns {Source[]} */
function brought({ items, files }) {
  const all = [...items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const some = all.filter((one) => one !== null);
  return some.length ? some : [...files];
}

/** Whether a drop is more than a picture to start from. @param {Source[]} sources */
const isFolder = (sources) => sources.length > 1 || sources.some((one) => ("isDirectory" in one && one.isDirectory) || /\.zip$/i.test(one.name));

/** Whether pictures were kept here. */
function kept() {
  try {
    return localStorage.getItem(KEPT) !== null;
  } catch {
    return false;
  }
}

/**
 * Puts the button into the view, and takes folders that are dropped.
 * @param {Search} search
 */
export function offer(search) {
  const { view, t } = search;
  const show = () => open(search).then(({ panel }) => panel.toggle(), (reason) => search.fail(reason, true));
  const button = h("button.quiet.folder-open", { type: "button", part: "folder-button", "aria-expanded": "false", onclick: show }, icon("grid"), h("span", {}, NAMES[t.lang.split("-")[0]] ?? NAMES.en));
  view.note.before(button);
  const gone = new AbortController();
  /** Before the element itself looks at it: that one takes a single picture. */
  const dropped = (/** @type {DragEvent} */ event) => {
    if (!view.out.isConnected) return gone.abort();
    if (event.defaultPrevented || !event.dataTransfer || view.slot.closed) return;
    const sources = brought(event.dataTransfer);
    if (!isFolder(sources)) return;
    event.preventDefault();
    open(search).then((folder) => folder.take(sources), (reason) => search.fail(reason, true));
  };
  document.addEventListener("drop", dropped, { capture: true, signal: gone.signal });
  if (kept()) show();
}
