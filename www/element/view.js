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

/**
 * @param {ShadowRoot} root
 * @param {HTMLElement} host
 * @param {Function} t translator
 * @param {object} on handlers: take, clear, refuse, lead, type, submit, chip, pick, back, restart, act, more, shuffle
 */
export function build(root, host, t, on) {
  dress(root);
  const view = {};
  view.slot = new Slot({ t, host, take: on.take, clear: on.clear, refuse: on.refuse, lead: on.lead });
  view.input = h("input", {
    type: "text",
    id: "words",
    part: "input",
    autocomplete: "off",
    spellcheck: true,
    enterKeyHint: "search",
    dir: "auto",
    oninput: () => on.type(),
  });
  view.go = h("button.go", { type: "submit", part: "submit", "aria-label": t("search"), title: t("search") }, icon("arrow"));
  view.chips = h("div.chips", { role: "group", "aria-label": t("suggestions"), part: "suggestions" });
  view.note = h("span.note", { role: "status" });
  view.privacy = h("span", {}, t("privacy"));
  view.label = h("span.sr");
  const voice = h("label.voice", { for: "words" }, view.label, h("span", { "aria-hidden": "true" }, t("this"), " ", h("i", {}, t("but"))));
  const form = h(
    "form.composer",
    {
      part: "composer",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        on.submit();
      },
    },
    view.slot.node,
    h(
      "div.say",
      {},
      voice,
      h("div.field", {}, view.input, view.go),
      view.chips,
      h("div.under", {}, h("span.privacy", { part: "privacy" }, icon("lock"), view.privacy), view.slot.camera, view.note),
    ),
  );
  view.trail = new Trail({ t, back: on.back, restart: on.restart });
  view.progress = new Progress(t);
  view.error = new ErrorPanel({ t, act: on.act });
  view.grid = new Grid({ label: t("results"), pick: on.pick, hint: t("useThis"), part: "results" });
  view.heading = h("h2", { part: "heading" });
  view.scores = h(
    "button.quiet",
    { type: "button", "aria-pressed": "false", hidden: true, onclick: () => on.scores() },
    icon("chart"),
    t("scores"),
  );
  view.shuffle = h("button.quiet", { type: "button", hidden: true, onclick: () => on.shuffle() }, icon("shuffle"), t("shuffle"));
  view.more = h("button.quiet", { type: "button", onclick: () => on.more() }, t("more"));
  view.moreRow = h("div.more", { hidden: true }, view.more);
  view.out = h(
    "section.out",
    { "aria-label": t("results") },
    h("header.out-head", {}, view.heading, view.scores, view.shuffle),
    view.grid.node,
    view.moreRow,
  );
  view.facts = new Facts(t);
  const inner = h(
    "div.root",
    { part: "root", lang: host.lang || null },
    form,
    view.trail.node,
    view.progress.node,
    view.error.node,
    view.out,
    view.facts.node,
  );
  view.live = new Announcer(inner);
  root.replaceChildren(h("div.shell", {}, inner));
  return view;
}
