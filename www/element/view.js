// Builds the element's inside once and hands out its parts. Holds no state of a search.

import { Announcer } from "./announce.js";
import { h, icon } from "./dom.js";
import { Grid } from "./grid.js";
import { ErrorPanel, Facts, Progress } from "./panel.js";
import { Slot } from "./slot.js";
import { dress } from "./styles.js";
import { Trail } from "./trail.js";

/** Longest modifier that is used; the model reads about thirty words of it. */
export const TEXT_LIMIT = 400;

/** The element's parts. @typedef {ReturnType<typeof build>} View */

/**
 * @param {ShadowRoot} root
 * @param {HTMLElement} host
 * @param {import("../types.js").Translate} t
 * @param {import("../types.js").Handlers} on
 */
export function build(root, host, t, on) {
  dress(root);
  const slot = new Slot({ t, host, take: on.take, clear: on.clear, refuse: on.refuse, lead: on.lead });
  const input = h("input", {
    type: "text",
    id: "words",
    part: "input",
    autocomplete: "off",
    spellcheck: true,
    enterKeyHint: "search",
    dir: "auto",
    oninput: () => on.type(),
  });
  const go = h("button.go", { type: "submit", part: "submit", "aria-label": t("search"), title: t("search") }, icon("arrow"));
  const chips = h("div.chips", { role: "group", "aria-label": t("suggestions"), part: "suggestions" });
  const note = h("span.note", { role: "status" });
  const privacy = h("span", {}, t("privacy"));
  const label = h("span.sr");
  const voice = h("label.voice", { for: "words" }, label, h("span", { "aria-hidden": "true" }, t("this"), " ", h("i", {}, t("but"))));
  const form = h(
    "form.composer",
    {
      part: "composer",
      role: "search",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        on.submit();
      },
    },
    slot.node,
    h(
      "div.say",
      {},
      voice,
      h("div.field", {}, input, go),
      chips,
      h("div.under", {}, h("span.privacy", { part: "privacy" }, icon("lock"), privacy), slot.camera, note),
    ),
  );
  const trail = new Trail({ t, back: on.back, restart: on.restart });
  const progress = new Progress(t);
  const error = new ErrorPanel({ t, act: on.act });
  const grid = new Grid({ label: t("results"), pick: on.pick, hint: t("useThis"), part: "results" });
  const heading = h("h2", { part: "heading" });
  const scores = h(
    "button.quiet",
    { type: "button", "aria-pressed": "false", hidden: true, onclick: () => on.scores() },
    icon("chart"),
    t("scores"),
  );
  const shuffle = h("button.quiet", { type: "button", hidden: true, onclick: () => on.shuffle() }, icon("shuffle"), t("shuffle"));
  const more = h("button.quiet", { type: "button", onclick: () => on.more() }, t("more"));
  const moreRow = h("div.more", { hidden: true }, more);
  const out = h(
    "section.out",
    { "aria-label": t("results") },
    h("header.out-head", {}, heading, scores, shuffle),
    grid.node,
    moreRow,
  );
  const facts = new Facts(t);
  const inner = h(
    "div.root",
    { part: "root", lang: host.lang || null },
    form,
    trail.node,
    progress.node,
    error.node,
    out,
    facts.node,
  );
  const live = new Announcer(inner);
  root.replaceChildren(h("div.shell", {}, inner));
  return { slot, input, go, chips, note, privacy, label, trail, progress, error, grid, heading, scores, shuffle, moreRow, out, facts, live };
}
