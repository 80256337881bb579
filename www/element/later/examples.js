// Searches that show what this is for: a picture, words, and the picture that they lead to. Fetched where a bundle has some.

import { h, wear } from "../dom.js";
import { fromItem } from "../reference.js";
import { bare } from "../suggest.js";

/** @import { Example } from "../../types.js" */
/** @import { Search } from "../search.js" */

const css = `
.tries h2 { font: 400 1.5rem/1.25 var(--_voice); letter-spacing: -.01em; margin-block-end: 12px; }
.tries ul { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; }
.tries li:nth-child(n+4) { display: none; }
.try {
  display: grid; grid-template-columns: 88px minmax(0, 1fr) 88px; gap: 12px; align-items: center; inline-size: 100%; block-size: 100%; padding: 12px; text-align: center;
  background: var(--_card); border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.2); transition: border-color .2s, translate .2s;
}
.try:hover { border-color: var(--_accent); translate: 0 -2px; }
.try span { display: block; aspect-ratio: 1; border-radius: calc(var(--_radius) * .8); background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile)); overflow: hidden; }
.try img { display: block; inline-size: 100%; block-size: 100%; object-fit: var(--_fit); padding: var(--_inset); }
.try q { quotes: none; display: grid; gap: 6px; justify-items: center; font: 400 1.125rem/1.2 var(--_voice); overflow-wrap: anywhere; }
.try b { font-weight: 400; }
.try i { color: var(--_accent); }
.try svg { inline-size: 40px; block-size: 12px; fill: none; stroke: var(--_accent); stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.shell:dir(rtl) .try svg { transform: scaleX(-1); }
.try q { animation: told .5s .5s backwards; }
.try span:last-child img { animation: found .6s 1.1s cubic-bezier(.2,.8,.2,1) backwards; }
.tries li:nth-child(2) .try :is(q, span:last-child img) { animation-delay: 1.3s; }
.tries li:nth-child(3) .try :is(q, span:last-child img) { animation-delay: 2.1s; }
@keyframes told { from { opacity: 0; translate: -8px 0; } }
@keyframes found { from { opacity: 0; scale: .7; } }
@container (max-width: 900px) {
  .tries ul { display: flex; overflow-x: auto; scroll-snap-type: x mandatory; scroll-padding: 4px; scrollbar-width: none; margin-inline: -4px; padding: 4px; gap: 12px; }
  .tries li, .tries li:nth-child(n+4) { display: block; flex: 0 0 min(300px, 84%); scroll-snap-align: start; }
}
@container (max-width: 640px) {
  .tries h2 { font-size: 1.1875rem; margin-block-end: 8px; }
  .try { grid-template-columns: 72px minmax(0, 1fr) 72px; }
}
@media (forced-colors: active) { .try { border: 1px solid ButtonText; } .try svg { stroke: CanvasText; } }
`;

const SVG = "http://www.w3.org/2000/svg";

function arrow() {
  const [svg, path] = ["svg", "path"].map((name) => document.createElementNS(SVG, name));
  svg.setAttribute("viewBox", "0 0 40 12");
  path.setAttribute("d", "M1 6h37m0 0l-5-5m5 5l-5 5");
  svg.append(path);
  return svg;
}

/** Puts the examples in their place. @param {Search} search */
export function examples(search) {
  const { t, opening } = search;
  const node = search.view.tries;
  wear(/** @type {ShadowRoot} */ (node.getRootNode()), css);
  const but = t("but").replace(/\s*…$/, "");
  // The first example goes before everything; those that are not seen come when they are.
  const picture = (/** @type {string} */ image, /** @type {number} */ at) => h("span", {}, h("img", { fetchPriority: at ? "auto" : "high", loading: at < 3 ? "eager" : "lazy", src: image, alt: "", draggable: false }));
  const cards = (opening?.examples ?? []).map((example, at) => {
    const { from, text, hits } = example;
    const label = t("example", { from: from.title, text: bare(text), to: hits[0].title });
    const said = h("q", { "aria-hidden": "true", lang: "en" }, h("b", {}, h("i", {}, `${but} `), bare(text)), arrow());
    return h("li", {}, h("button.try", { type: "button", part: "example", "aria-label": label, onclick: () => play(search, example) }, picture(from.image, at), said, picture(hits[0].image, at)));
  });
  node.replaceChildren(h("h2", {}, t("examples")), h("ul", {}, ...cards));
}

/**
 * Shows an example with its stored answer; the model comes meanwhile, and completes it.
 * @param {Search} search
 * @param {Example} example
 */
function play(search, { from, text, hits }) {
  if (search.info) return search.refer(fromItem(from), { tokens: [text], draft: "" }).catch(() => {});
  search.leave();
  search.steps.put(fromItem(from), [text], "");
  search.steps.settle();
  Object.assign(search.step, { hits, answered: search.steps.text, stored: true });
  search.turned("announceReference", { title: from.title });
  search.found();
  search.top();
  search.host.emit("results", { hits, timings: { compose: 0, search: 0, image: 0, total: 0 }, reference: search.step.reference, text, far: false });
  // What goes wrong is told when something is asked that needs the model.
  if (!search.consent) search.engine().catch(() => {});
}
