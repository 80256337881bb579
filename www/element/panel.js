// What stands between the sentence and the pictures: progress of the first load, and errors with a way on.

import { h } from "./dom.js";

/** @import { Progress as Loading, Translate } from "../types.js" */

/** Megabytes, with one digit after the point below ten. @param {number} bytes */
export const megabytes = (bytes) => (bytes < 1e7 ? Math.round(bytes / 1e5) / 10 : Math.round(bytes / 1e6));

/** Seconds of the recent past that the speed is taken from. */
const RECENT = 6;

/** One bar over everything that is fetched. Without a known total it moves but promises nothing. */
export class Progress {
  /** @param {Translate} t */
  constructor(t) {
    this.t = t;
    this.what = h("b");
    this.amount = h("span");
    this.fill = h("i");
    this.once = h("small", {}, t("loadingOnce"));
    this.bar = h("div.bar.unknown", { role: "progressbar", "aria-label": t("loading"), "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
    this.get = h("button.solid", { type: "button", hidden: true, onclick: () => this.agree() });
    this.line = h("div.progress-line", {}, this.what, this.amount);
    this.agree = () => {};
    this.node = h("div.progress", { part: "progress", hidden: true }, this.line, this.bar, this.get, this.once);
    /** Times and bytes of the recent past. @type {{at: number, loaded: number}[]} */
    this.past = [];
  }

  /** Seconds until everything is there; null while nobody can tell. @param {number} loaded @param {number} total */
  left(loaded, total) {
    const now = performance.now() / 1000;
    this.past = [...this.past.filter(({ at }) => now - at < RECENT), { at: now, loaded }];
    const { at, loaded: before } = this.past[0];
    if (now - at < 1 || loaded <= before) return null;
    const seconds = ((total - loaded) * (now - at)) / (loaded - before);
    return seconds < 3 ? null : seconds < 20 ? Math.round(seconds) : Math.round(seconds / 5) * 5;
  }

  /** A download that waits until somebody agrees to it. @param {import("./start.js").Consent} consent */
  ask({ bytes, agree }) {
    this.agree = agree;
    this.get.textContent = this.t("loadNow", { n: megabytes(bytes) });
    this.node.hidden = this.get.hidden = this.once.hidden = false;
    this.line.hidden = this.bar.hidden = true;
  }

  /** @param {?Loading} progress null hides it */
  show(progress) {
    this.node.hidden = !progress;
    if (!progress) this.past = [];
    if (!progress) return;
    this.get.hidden = true;
    this.line.hidden = this.bar.hidden = false;
    const { t } = this;
    const { loaded = 0, total = null, stage = "", stored = false } = progress;
    const part = total && !stored ? Math.min(1, loaded / total) : null;
    const left = total && !stored ? this.left(loaded, total) : null;
    this.what.textContent = t(stage === "start" || stored ? "starting" : "loading");
    // What is stored already is not downloaded, and "once only" was then.
    const some = loaded ? t("loadingSome", { loaded: megabytes(loaded) }) : "";
    const amount = total ? t("loadingOf", { loaded: megabytes(loaded), total: megabytes(total) }) : some;
    this.amount.textContent = stored ? "" : left === null ? amount : `${amount} · ${t("loadingLeft", { n: left })}`;
    this.once.hidden = stored;
    this.bar.classList.toggle("unknown", part === null);
    this.fill.style.setProperty("--part", String(part ?? 0));
    if (part === null) this.bar.removeAttribute("aria-valuenow");
    else this.bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
  }
}

/** What a visitor can do about each kind of error, most useful first. */
/** @type {Record<string, string[]>} */
const WAYS = {
  network: ["retry"],
  missing: ["retry"],
  module: ["fresh"],
  html: ["fresh"],
  policy: [],
  simd: [],
  picture: ["retry", "otherImage"],
  timeout: ["retry"],
  runtime: ["retry"],
  checksum: ["fresh"],
  format: ["fresh"],
  weights: ["fresh"],
  config: ["fresh"],
  version: ["reload", "fresh"],
  device: ["useCpu"],
  unsupported: ["reload"],
  image: ["otherImage"],
  query: ["retry"],
  reference: ["retry", "otherImage"],
  unreachable: ["retry", "otherImage"],
};

export class ErrorPanel {
  /** @param {{t: Translate, act: (way: string) => void}} options */
  constructor({ t, act }) {
    this.t = t;
    this.act = act;
    this.node = h("div.error", { role: "alert", part: "error", hidden: true });
  }

  /** @param {?import("./errors.js").ThisButError} error null hides it */
  show(error) {
    this.node.hidden = !error;
    this.node.replaceChildren();
    if (!error) return;
    const { t } = this;
    const { what, mend } = error.sentences(t);
    const ways = (WAYS[error.kind] ?? ["retry"]).map((way, rank) =>
      h(rank ? "button.quiet" : "button.solid", { type: "button", onclick: () => this.act(way) }, t(way)),
    );
    const dismiss = error.kind === "image" ? h("button.quiet", { type: "button", onclick: () => this.show(null) }, t("dismiss")) : null;
    // Visitors need not see the exact cause; whoever runs the site does.
    const detail = error.detail && error.detail !== what ? error.detail : "";
    const owner = detail ? h("details.owner", {}, h("summary", {}, t("owner")), h("code", { lang: "en", dir: "ltr" }, `${error.kind}: ${detail}${error.mend ? ` (${error.mend})` : ""}`)) : null;
    this.node.append(h("p", {}, h("b", {}, what), mend), h("div", {}, ...ways, dismiss), owner ?? "");
  }
}
