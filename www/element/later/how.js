// "How it works": three pictures of the present search with its own numbers, and the small print. Fetched when it is opened.

import { h, icon, wear } from "../dom.js";
import { megabytes } from "../panel.js";
import { bare } from "../suggest.js";

/** @import { Info, Step, Translate } from "../../types.js" */
/** @import { Search } from "../search.js" */

const css = `
.how p { max-inline-size: 68ch; margin-block: 8px 16px; }
.three { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; margin-block: 10px 16px; }
.three li { position: relative; display: grid; grid-template-columns: 88px minmax(0, 1fr); gap: 14px; align-items: center; }
.three p { margin: 0; }
.three b { color: var(--_ink); font-weight: 600; }
.three small { display: block; font-size: .875rem; font-variant-numeric: tabular-nums; }
.pic { display: grid; place-items: center; aspect-ratio: 1; border-radius: var(--_radius); overflow: hidden; background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile)); }
.pic img { inline-size: 100%; block-size: 100%; object-fit: var(--_fit); padding: var(--_inset); }
.pic q { padding: 8px; font: italic 400 .9375rem/1.2 var(--_voice); color: var(--_ink); text-align: center; overflow-wrap: anywhere; max-block-size: 100%; overflow: hidden; }
.how > .quiet { border: 1px solid var(--_line); margin-block-start: 14px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 14px 24px; }
.facts dt { font-size: .8125rem; }
.facts dd { color: var(--_ink); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
@container (max-width: 640px) {
  .three { grid-template-columns: minmax(0, 1fr); }
  .three li { grid-template-columns: 72px minmax(0, 1fr); }
}
`;

class How {
  /** @param {{t: Translate, node: HTMLElement, tryGpu: () => void}} options */
  constructor({ t, node, tryGpu }) {
    this.t = t;
    this.list = h("dl.facts");
    this.three = h("ol.three");
    this.gpu = h("button.quiet", { type: "button", hidden: true, onclick: () => tryGpu() }, icon("chart"), h("span"));
    wear(/** @type {ShadowRoot} */ (node.getRootNode()), css);
    node.append(this.three, h("p", {}, t("howText")), this.list, this.gpu);
  }

  /**
   * @param {{info: ?Info, step: Step, words: string, trial: number}} facts `trial`: bytes of the graphics card's module, if it may be tried
   */
  show({ info, step, words, trial }) {
    const { t } = this;
    const { reference, timings, hits } = step;
    const ms = (/** @type {number | undefined} */ value) => (value ? t("ms", { n: value < 10 ? Math.round(value * 10) / 10 : Math.round(value) }) : "");
    const picture = (/** @type {string | undefined} */ image) => (image ? h("img", { src: image, alt: "" }) : icon("image"));
    const best = timings ? hits?.[0] : null;
    this.three.replaceChildren(
      h("li", {}, h("span.pic", {}, picture(reference?.image)), h("p", {}, h("b", {}, t("howOne")), " ", t("howOneText"), h("small", {}, ms(timings?.image)))),
      h("li", {}, h("span.pic.said", {}, h("q", {}, words ? bare(words) : "…")), h("p", {}, h("b", {}, t("howTwo")), " ", t("howTwoText"), h("small", {}, ms(timings?.compose)))),
      h("li", {}, h("span.pic", {}, picture(best?.image)), h("p", {}, h("b", {}, t("howThree")), " ", t("howThreeText", { n: info?.count ?? "…" }), h("small", {}, ms(timings?.search)))),
    );
    /** @type {[string, string][]} */
    const rows = [];
    if (info) {
      rows.push(["howDevice", t(info.device === "webgpu" ? "howDeviceGpu" : "howDeviceCpu")], ["howModel", info.model]);
      if (info.transferred || info.bytes) rows.push(["howDownload", t("mb", { n: megabytes(info.transferred || info.bytes) })]);
      if (info.memory) rows.push(["howMemory", t("mb", { n: Math.round(info.memory / 1e6) })]);
      if (info.timings?.total) rows.push(["howStart", ms(info.timings.total)]);
    }
    if (timings) rows.push(["howTotal", ms(timings.total)]);
    this.list.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value))));
    this.gpu.hidden = !trial;
    /** @type {HTMLElement} */ (this.gpu.lastChild).textContent = t("tryGpu", { n: megabytes(trial) });
  }
}

/** Each view's explanation. @type {WeakMap<HTMLElement, How>} */
const explained = new WeakMap();

/** @param {Search} search */
export function explain(search) {
  const { view, t, info, step, steps, client } = search;
  const tryGpu = () => search.client.measure().catch(() => {});
  const how = explained.get(view.how) ?? new How({ t, node: view.how, tryGpu });
  explained.set(view.how, how);
  how.show({ info, step, words: steps.text, trial: client?.trialBytes ?? 0 });
}
