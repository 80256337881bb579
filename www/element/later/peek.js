// A closer look at one picture: large, with the reference beside it, and what can be done with it. Fetched when the first
// picture is looked at: most visits have none.

import { h, icon, wear } from "../dom.js";
import { fromItem } from "../reference.js";

/** @import { Item, Reference, Translate } from "../../types.js" */
/** @import { Search } from "../search.js" */

/** Of a dialog on a picture. */
export const css = `
.peek { border: 0; padding: 24px; border-radius: calc(var(--_radius) * 1.5); background: var(--_card); color: var(--_ink); max-inline-size: min(720px, 100vw - 24px); max-block-size: calc(100dvh - 24px); }
.peek .remove { z-index: 1; }
.peek::backdrop { background: rgb(20 16 12 / .5); }
.pair { display: flex; gap: 16px; justify-content: center; }
.pair figure { margin: 0; flex: 1 1 0; min-inline-size: 0; max-inline-size: 320px; }
.pair img { display: block; inline-size: 100%; aspect-ratio: 1; object-fit: cover; border-radius: var(--_radius); background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile)); }
.pair .soft img { object-fit: var(--_fit); padding: var(--_inset); }
.pair figcaption { padding-block-start: 8px; color: var(--_soft); font-size: .875rem; }
.full-title { font: 400 1.375rem/1.25 var(--_voice); margin-block: 12px 16px; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.actions > * { min-block-size: 44px; }
@container (max-width: 640px) {
  .peek { padding: 16px; }
  .actions > * { flex: 1 1 auto; justify-content: center; text-align: center; }
}
@media (forced-colors: active) { .peek { border: 1px solid ButtonText; } }
`;

/** Columns of the site owner's table that lead to a picture's own page. */
const LEADING = ["link", "url"];

/**
 * Where a picture leads: the first address that the site owner's table gives it. Only pages of the web are followed.
 * @param {Item} item
 * @returns {?string}
 */
export function leads({ extra = {} }) {
  for (const [name, value] of Object.entries(extra)) {
    if (!LEADING.includes(name.toLowerCase()) || !URL.canParse(value, document.baseURI)) continue;
    const { protocol, href } = new URL(value, document.baseURI);
    if (/^https?:$/.test(protocol)) return href;
  }
  return null;
}

/** The picture as a PNG, which is what clipboards take. @param {string} address @returns {Promise<Blob>} */
async function pngOf(address) {
  const bitmap = await createImageBitmap(await (await fetch(address)).blob());
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no PNG")))));
}

/** @param {Search} search @param {Item} item @param {?number} rank of a match */
export function look(search, item, rank) {
  const { refined, reference } = search.step;
  const pick = (/** @type {Item} */ item) => search.pick(item, false);
  // A second image: something between the two.
  const add = () => {
    refined.also = [...refined.also, fromItem(item)];
    if (search.view.panel.hidden) search.view.finer.click();
    search.run();
  };
  show(search.view.peek, { t: search.t, item, reference, rank, pick, add: reference && refined.also.length < 3 ? add : null });
}

/**
 * @param {HTMLDialogElement} node
 * @param {{t: Translate, item: Item, reference: ?Reference, rank: ?number, pick: (item: Item) => void, add: (() => void) | null}} what `rank` of a match
 */
function show(node, { t, item, reference, rank, pick, add }) {
  wear(/** @type {ShadowRoot} */ (node.getRootNode()), css);
  const copied = h("span", {}, t("copyPicture"));
  const page = leads(item);
  const copy = async () => {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": pngOf(item.image) })]);
    } catch {
      // Browsers without pictures in the clipboard, and pictures of other sites: at least its address.
      await navigator.clipboard?.writeText(new URL(item.image, document.baseURI).href).catch(() => {});
    }
    copied.textContent = t("copied");
  };
  const figure = (/** @type {string} */ image, /** @type {string} */ words, soft = true) =>
    h(`figure${soft ? ".soft" : ""}`, {}, h("img", { src: image, alt: "" }), h("figcaption", {}, words));
  const score = item.score === undefined ? "" : ` · ${item.score.toFixed(3)}`;
  node.setAttribute("aria-label", item.title);
  node.replaceChildren(
    h("button.round.remove", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => node.close() }, icon("close")),
    h(
      "div.pair",
      {},
      reference && rank !== null ? figure(reference.image, t("this"), reference.soft) : null,
      figure(item.image, rank === null ? "" : t("rank", { n: rank + 1 }) + score),
    ),
    h("p.full-title", {}, item.title),
    h(
      "div.actions",
      {},
      h("button.solid", { type: "button", autofocus: true, onclick: () => (node.close(), pick(item)) }, t("useAsImage")),
      add && h("button.quiet", { type: "button", onclick: () => (node.close(), add()) }, icon("image"), t("addAsImage")),
      h("button.quiet", { type: "button", onclick: copy }, icon("copy"), copied),
      h("a.quiet", { href: page ?? item.image, target: "_blank", rel: "noopener" }, icon("out"), t(page ? "openPage" : "openPicture")),
    ),
  );
  node.showModal();
}
