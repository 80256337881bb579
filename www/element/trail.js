// The steps so far: each is an image and the words that were added to it. A click goes back, the steps after it stay
// until a new one is taken.

import { h, icon } from "./dom.js";
import { wordsOf } from "./steps.js";
import { bare } from "./suggest.js";

export class Trail {
  /** @param {{t: import("../types.js").Translate, back: (position: number) => void, restart: () => void}} options */
  constructor({ t, back, restart }) {
    this.t = t;
    this.back = back;
    this.restart = restart;
    this.list = h("ol.steps");
    this.node = h(
      "nav.trail",
      { "aria-label": t("history"), part: "history", hidden: true },
      this.list,
      h("button.quiet", { type: "button", onclick: () => restart() }, icon("back"), h("span", {}, t("restart"))),
    );
  }

  /**
   * @param {import("../types.js").Step[]} steps
   * @param {number} now the position being looked at
   */
  show(steps, now) {
    const { t } = this;
    const { activeElement } = /** @type {ShadowRoot} */ (this.node.getRootNode());
    const focused = this.list.contains(activeElement ?? null);
    this.node.hidden = steps.length < 2;
    this.list.replaceChildren(
      ...steps.map((step, position) => {
        const text = wordsOf(step);
        const words = text ? `${step.reference ? t("but").replace(/\s*…$/, "") + " " : ""}${bare(text)}` : "";
        const said = words || (step.reference ? t("stepSimilar") : t("stepStart"));
        const picture = step.reference ? h("img", { src: step.reference.image, alt: "" }) : icon("image");
        const label = t("historyStep", { n: position + 1, what: [step.reference?.title, said].filter(Boolean).join(", ") });
        return h(
          "li",
          {},
          h(
            "button.step",
            {
              type: "button",
              part: "history-step",
              title: said,
              "aria-label": label,
              "aria-current": position === now ? "step" : null,
              onclick: () => this.back(position),
            },
            h("span.dot", {}, picture),
            h("span.words", {}, said),
          ),
        );
      }),
    );
    const current = /** @type {?HTMLElement} */ (this.list.children[now]);
    // The steps are built anew: the focus stays on the one that is looked at.
    if (focused) /** @type {?HTMLElement} */ (current?.querySelector("button"))?.focus({ preventScroll: true });
    // Only the strip scrolls, never the page.
    if (current) this.list.scrollTo({ left: current.offsetLeft - this.list.clientWidth / 2, behavior: "auto" });
  }
}
