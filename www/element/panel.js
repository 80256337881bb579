// What stands between the sentence and the pictures: progress of the first load, errors with a way on, and the facts
// behind "How it works".

import { h } from "./dom.js";

/** @import { Info, Progress as Loading, Timings, Translate } from "../types.js" */

const megabytes = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1);

/** One bar over everything that is fetched. Without a known total it moves but promises nothing. */
export class Progress {
  /** @param {Translate} t */
  constructor(t) {
    this.t = t;
    this.what = h("b");
    this.amount = h("span");
    this.fill = h("i");
    this.bar = h("div.bar.unknown", { role: "progressbar", "aria-label": t("loading"), "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
    this.node = h(
      "div.progress",
      { part: "progress", hidden: true },
      h("div.progress-line", {}, this.what, this.amount),
      this.bar,
      h("small", {}, t("loadingOnce")),
    );
  }

  /** @param {?Loading} progress null hides it */
  show(progress) {
    this.node.hidden = !progress;
    if (!progress) return;
    const { t } = this;
    const { loaded = 0, total = null, stage = "" } = progress;
    const part = total ? Math.min(1, loaded / total) : null;
    this.what.textContent = t(stage === "start" ? "starting" : "loading");
    this.amount.textContent = total
      ? t("loadingOf", { loaded: megabytes(loaded), total: megabytes(total) })
      : loaded
        ? t("loadingSome", { loaded: megabytes(loaded) })
        : "";
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
    this.node.title = "";
    if (!error) return;
    const { t } = this;
    const { what, mend } = error.sentences(t);
    const ways = (WAYS[error.kind] ?? ["retry"]).map((way, rank) =>
      h(rank ? "button.quiet" : "button.solid", { type: "button", onclick: () => this.act(way) }, t(way)),
    );
    // The exact cause helps whoever runs the site; visitors see it on hover only.
    if (error.detail && error.detail !== what) this.node.title = error.detail;
    const dismiss = error.kind === "image" ? h("button.quiet", { type: "button", onclick: () => this.show(null) }, t("dismiss")) : null;
    this.node.append(h("p", {}, h("b", {}, what), mend), h("div", {}, ...ways, dismiss));
  }
}

/** The small print: device, sizes and the time of each stage. */
export class Facts {
  /** @param {Translate} t */
  constructor(t) {
    this.t = t;
    this.list = h("dl.facts");
    this.text = h("p");
    this.node = h("details.how", { part: "details" }, h("summary", {}, t("how")), this.text, this.list);
  }

  /** @param {?Info} info @param {?Timings} timings of the last query */
  show(info, timings) {
    const { t } = this;
    /** @type {string[][]} */
    const rows = [];
    const add = (/** @type {string} */ key, /** @type {?string} */ value) => value !== undefined && value !== null && rows.push([t(key), value]);
    const ms = (/** @type {number | undefined} */ value) => (value === undefined || value === null ? null : t("ms", { n: value < 10 ? value.toFixed(1) : Math.round(value) }));
    this.text.textContent = t("howText", { n: info?.count ?? "…" });
    if (info) {
      add("howDevice", t(info.device === "webgpu" ? "howDeviceGpu" : "howDeviceCpu"));
      add("howModel", info.model);
      add("howDownload", info.bytes ? t("mb", { n: megabytes(info.bytes) }) : null);
      add("howMemory", info.memory ? t("mb", { n: Math.round(info.memory / 1e6) }) : null);
      add("howStart", ms(info.timings?.total));
    }
    if (timings) {
      add("howImage", timings.image ? ms(timings.image) : null);
      add("howText2", ms(timings.compose));
      add("howSearch", ms(timings.search));
      add("howTotal", ms(timings.total));
    }
    this.list.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }
}
