// Builds the element's inside once and hands out its parts. Holds no state of a search.

import { Announcer } from "./announce.js";
import { h, icon, wear } from "./dom.js";
import { Grid } from "./grid.js";
import { ErrorPanel, Progress } from "./panel.js";
import { Slot } from "./slot.js";
import { css } from "./styles.js";
import { Trail } from "./trail.js";

/** @import { Handlers, Translate } from "../types.js" */

/** The element's parts. @typedef {ReturnType<typeof build>} View */

/**
 * The sentence's second half: what was taken, and the field.
 * @param {Translate} t
 * @param {Handlers} on
 */
function field(t, on) {
  const input = h("input", {
    type: "text",
    id: "words",
    part: "input",
    autocomplete: "off",
    spellcheck: true,
    enterKeyHint: "search",
    dir: "auto",
    oninput: () => on.type(),
    onkeydown: (/** @type {KeyboardEvent} */ event) => on.key(event),
  });
  const go = h("button.go", { type: "submit", part: "submit", "aria-label": t("search"), title: t("search") }, icon("arrow"));
  const tokens = h("span.tokens", { part: "tokens" });
  return { input, go, tokens, node: h("div.field", {}, h("div.line", {}, tokens, input), go) };
}

/**
 * The search in one line, for narrow screens where the sentence has scrolled away.
 * @param {Translate} t
 * @param {Handlers} on
 */
function pinned(t, on) {
  const picture = h("span.dot");
  const words = h("b");
  const bar = h("button.pin-bar", { type: "button", part: "pinned", tabindex: "-1", "aria-hidden": "true", onclick: () => on.top() }, picture, h("span.pin-voice", {}, `${t("this")} `, h("i", {}, t("but").replace(/\s*…$/, ""))), words);
  return { picture, words, node: h("div.pin", {}, bar) };
}

/**
 * @param {Translate} t
 * @param {Handlers} on
 */
function results(t, on) {
  const quiet = (/** @type {Parameters<typeof icon>[0]} */ name, /** @type {string} */ key, /** @type {() => void} */ act) =>
    h("button.quiet", { type: "button", hidden: true, onclick: act }, icon(name), h("span", {}, t(key)));
  const grid = new Grid({ t, pick: on.pick, look: on.look, leave: on.leave });
  const heading = h("h2", { part: "heading" });
  const scores = quiet("chart", "scores", () => on.scores());
  scores.setAttribute("aria-pressed", "false");
  const finer = quiet("finer", "refine", () => on.refine());
  finer.setAttribute("aria-expanded", "false");
  const why = quiet("why", "why", () => on.why());
  const far = h("p.unknown", { hidden: true });
  const panel = h("div.finer", { part: "refine", hidden: true });
  const shuffle = quiet("shuffle", "shuffle", () => on.shuffle());
  const link = quiet("link", "copyLink", () => on.link());
  const moreRow = h("div.more", { hidden: true }, h("button.quiet", { type: "button", onclick: () => on.more() }, t("more")));
  const node = h("section.out", { "aria-label": t("results") }, h("header.out-head", {}, heading, why, link, finer, scores, shuffle), panel, far, grid.node, moreRow);
  return { grid, heading, scores, finer, why, panel, far, shuffle, link, moreRow, out: node };
}

/**
 * @param {ShadowRoot} root
 * @param {HTMLElement} host
 * @param {Translate} t
 * @param {Handlers} on
 */
export function build(root, host, t, on) {
  root.adoptedStyleSheets = [];
  wear(root, css);
  const slot = new Slot({ t, host, on });
  const { input, go, tokens, node: line } = field(t, on);
  const chips = h("div.chips", { role: "group", "aria-label": t("suggestions"), part: "suggestions" });
  const note = h("span.note", { role: "status" });
  const privacy = h("span", {}, t("privacy"));
  const label = h("span.sr");
  const voice = h("label.voice", { for: "words" }, label, h("span", { "aria-hidden": "true" }, t("this"), " ", h("i", {}, t("but"))));
  const progress = new Progress(t);
  const under = h("div.under", {}, h("span.privacy", { part: "privacy" }, icon("lock"), privacy), slot.camera, note);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    on.submit();
  };
  // Progress and suggestions share their place: nothing moves when one gives way to the other.
  const say = h("div.say", {}, voice, line, h("div.offer", {}, chips, progress.node), under);
  const form = h("form.composer", { part: "composer", role: "search", "aria-label": t("search"), onsubmit: submit }, slot.node, say);
  const trail = new Trail({ t, back: on.back, restart: on.restart });
  const error = new ErrorPanel({ t, act: on.act });
  const found = results(t, on);
  const how = h("details.how", { part: "details", ontoggle: () => on.explain() }, h("summary", {}, t("how")));
  // A click beside the picture closes it.
  const peek = h("dialog.peek", { part: "peek", onclick: (/** @type {Event} */ event) => event.target === peek && peek.close() });
  const tries = h("section.tries", { part: "examples", hidden: true });
  const pin = pinned(t, on);
  const inner = h("div.root", { part: "root" }, form, trail.node, error.node, tries, found.out, how);
  const live = new Announcer(inner);
  const shell = h("div.shell", { lang: t.lang, dir: t.dir }, pin.node, inner, peek);
  root.replaceChildren(shell, slot.veil);
  const watch = new IntersectionObserver(([seen]) => pin.node.classList.toggle("on", !seen.isIntersecting && seen.boundingClientRect.top < 0));
  watch.observe(form);
  const destroy = () => {
    watch.disconnect();
    slot.destroy();
    found.grid.destroy();
  };
  return { shell, slot, input, go, tokens, chips, note, privacy, label, trail, progress, error, tries, ...found, how, peek, pin, live, destroy };
}
