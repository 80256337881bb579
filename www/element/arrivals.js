// Images that are pasted or dropped anywhere on the page: one element takes them, the one that was used last. Several
// elements never take the same image, and a page's own fields and drop zones go first.

import { ThisButError } from "./errors.js";

/**
 * An element that takes images. `veil` shows or hides that a drop would be taken.
 * @typedef {{host: HTMLElement, take: (what: {files: File[], link: string}) => void, refuse: (error: ThisButError) => void, veil: (on: boolean) => void}} Guest
 */

/** @type {Set<Guest>} */
const guests = new Set();
/** @type {?Guest} */
let latest = null;
let depth = 0;
/** @type {?AbortController} */
let listening = null;

/** The element that takes what this event brings. @param {Event} event */
function chosen(event) {
  const path = event.composedPath();
  const all = [...guests].filter(({ host }) => !host.matches(":disabled"));
  const seen = all.filter(({ host }) => host.checkVisibility?.() ?? true);
  return all.find(({ host }) => path.includes(host)) ?? seen.find((guest) => guest === latest) ?? seen[0] ?? null;
}

/** Where the words that are typed now go. */
function active() {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return node;
}

/** The address of a picture, in what was pasted or dropped. @param {?DataTransfer} data */
function linkIn(data) {
  const [text] = (data?.getData("text/uri-list") || data?.getData("text/plain") || "").split(/\r?\n/).filter((line) => line && !line.startsWith("#"));
  return /^(https?:\/\/|data:image\/)\S+$/.test(text ?? "") ? text : "";
}

/** @param {ClipboardEvent} event */
function pasted(event) {
  const guest = chosen(event);
  if (!guest || event.defaultPrevented) return;
  const inside = event.composedPath().includes(guest.host);
  const field = active()?.matches("input, textarea, select, [contenteditable]:not([contenteditable=false])");
  if (field && !inside) return;
  const files = [...(event.clipboardData?.items ?? [])].filter(({ kind }) => kind === "file").map((one) => one.getAsFile()).filter((one) => one !== null);
  // In the field, an address is words unless it is clearly a picture's.
  const link = linkIn(event.clipboardData);
  if (!files.length && (!link || (field && !/\.(png|jpe?g|webp|gif|avif)([?#]|$)|^data:/i.test(link)))) return;
  event.preventDefault();
  guest.take({ files, link });
}

/** What a drag could bring: files anywhere on the page, links on an element alone. @param {DragEvent} event */
function target(event) {
  const types = [...(event.dataTransfer?.types ?? [])];
  const guest = chosen(event);
  if (!guest || event.defaultPrevented) return null;
  const inside = event.composedPath().includes(guest.host);
  return types.includes("Files") || (inside && types.includes("text/uri-list")) ? guest : null;
}

function lift() {
  depth = 0;
  for (const guest of guests) guest.veil(false);
}

/** @param {DragEvent} event */
function dragged(event) {
  const guest = target(event);
  if (!guest) return;
  event.preventDefault();
  depth = Math.max(0, depth + (event.type === "dragenter" ? 1 : event.type === "dragleave" ? -1 : 0));
  for (const other of guests) other.veil(depth > 0 && other === guest);
}

/** @param {DragEvent} event */
function dropped(event) {
  const guest = target(event);
  lift();
  if (!guest) return;
  event.preventDefault();
  const files = [...(event.dataTransfer?.files ?? [])];
  const link = files.length ? "" : linkIn(event.dataTransfer);
  if (files.length || link) guest.take({ files, link });
  else guest.refuse(new ThisButError("image", { key: "image.none" }));
}

function listen() {
  listening = new AbortController();
  const { signal } = listening;
  document.addEventListener("paste", pasted, { signal });
  for (const name of /** @type {const} */ (["dragenter", "dragover", "dragleave"])) document.addEventListener(name, dragged, { signal });
  document.addEventListener("drop", dropped, { signal });
}

/**
 * From now on this element is one that may take images; until the signal.
 * @param {Guest} guest
 * @param {AbortSignal} signal
 */
export function welcome(guest, signal) {
  guests.add(guest);
  if (!listening) listen();
  const use = () => (latest = guest);
  guest.host.addEventListener("pointerdown", use, { signal });
  guest.host.addEventListener("focusin", use, { signal });
  signal.addEventListener("abort", () => {
    guests.delete(guest);
    if (latest === guest) latest = null;
    if (guests.size) return;
    listening?.abort();
    listening = null;
  });
}
