// What a visitor sees of their own folder: where to drop it, how far reading is, what could not be read, and what can be done with it.

import { h, icon, wear } from "../../dom.js";

/** @import { Scope } from "../../../types.js" */
/** @import { Search } from "../../search.js" */
/** @typedef {import("./folder.js").Folder} Folder */

/** Pictures in the strip. */
const NEWEST = 12;

const css = `
.own { display: grid; gap: 16px; padding: 20px; background: var(--_card); border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.2); }
.own header { display: flex; align-items: start; gap: 12px; }
.own header div { flex: 1; min-inline-size: 0; }
.own h2 { font: 400 1.5rem/1.25 var(--_voice); letter-spacing: -.01em; }
.own p, .own small { color: var(--_soft); font-size: .9375rem; }
.own .row { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; }
.own .drop { display: grid; justify-items: center; gap: 12px; padding: 24px 16px; border: 2px dashed color-mix(in srgb, var(--_soft) 45%, transparent); border-radius: var(--_radius); text-align: center; }
.own .drop > b { font-weight: 600; }
.own.some .drop { padding: 0; border: 0; display: flex; flex-wrap: wrap; }
.own.some .drop > b { display: none; }
.own :is(.drop, .turns) .quiet { border: 1px solid var(--_line); border-radius: 99px; padding-inline: 16px; min-block-size: 40px; }
.own.some .drop .solid { background: none; color: var(--_soft); border: 1px solid var(--_line); font-weight: 400; }
.own .far-line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px; font-variant-numeric: tabular-nums; margin-block-end: 8px; }
.own .far-line span { color: var(--_soft); font-size: .9375rem; }
.own .strip { display: flex; gap: 8px; overflow-x: auto; padding: 4px; margin: -4px; scrollbar-width: none; }
.own .strip button { flex: 0 0 64px; block-size: 64px; border-radius: calc(var(--_radius) * .6); overflow: hidden; background: var(--_tile); }
.own .strip img { display: block; inline-size: 100%; block-size: 100%; object-fit: cover; }
.own .scope { display: inline-flex; border: 1px solid var(--_line); border-radius: 99px; padding: 3px; }
.own .turns { margin-block-start: 12px; }
.own .scope button { text-align: center; padding: 5px 14px; border-radius: 99px; font-size: .9375rem; color: var(--_soft); }
.own .scope [aria-pressed=true] { background: var(--_tile); color: var(--_ink); box-shadow: inset 0 0 0 1px var(--_soft); }
.own label { display: inline-flex; gap: 8px; align-items: center; min-block-size: 36px; }
.own input[type=checkbox] { accent-color: var(--_accent); inline-size: 18px; block-size: 18px; margin: 0; flex: none; }
.own details { font-size: .9375rem; }
.own summary { cursor: pointer; color: var(--_soft); }
.own details ul { margin: 8px 0 0; padding: 0; list-style: none; max-block-size: 200px; overflow: auto; }
.own details li { padding-block: 3px; overflow-wrap: anywhere; }
.own .wrong { color: var(--_ink); padding: 10px 14px; border-radius: calc(var(--_radius) * .6); background: color-mix(in srgb, var(--_accent) 9%, var(--_card)); border: 1px solid color-mix(in srgb, var(--_accent) 35%, transparent); }
.tile .frame > img[src^="blob:"] { object-fit: cover; padding: 0; }
.tile .frame:has(> img[src^="blob:"])::before { content: var(--_own); position: absolute; inset-block-start: 8px; inset-inline-start: 8px; z-index: 1; padding: 1px 9px; border-radius: 99px; background: var(--_card); color: var(--_ink); font-size: .8125rem; }
@container (max-width: 640px) { .own { padding: 16px; } .own .scope { inline-size: 100%; } .own .scope button { flex: 1; min-block-size: 44px; padding-inline: 4px; } .own label { min-block-size: 44px; } }
@media (forced-colors: active) { .own, .own .scope, .own .drop .quiet { border-color: ButtonText; } .own .scope [aria-pressed=true] { background: Highlight; color: HighlightText; forced-color-adjust: none; } }
`;

/** Megabytes of so many bytes, at least one digit. @param {number} bytes */
const megabytes = (bytes) => (bytes < 1e7 ? Math.max(1, Math.round(bytes / 1e5)) / 10 : Math.round(bytes / 1e6));

/** What is wrong with a file, its path in the place of its name. @param {string} path @param {import("../../errors.js").ThisButError} why @param {Search["t"]} t */
function complaint(path, why, t) {
  const { what } = why.sentences(t);
  const name = String(why.values.name ?? "");
  const at = name ? what.indexOf(name) : -1;
  return at < 0 ? [h("b", {}, path), " ", what] : [what.slice(0, at), h("b", {}, path), what.slice(at + name.length)];
}

export class Panel {
  /** @param {Folder} folder */
  constructor(folder) {
    this.folder = folder;
    /** The view that it stands in. @type {unknown} */
    this.view = null;
    this.shown = false;
    /** @type {?ReturnType<Panel["build"]>} */
    this.parts = null;
    /** The pictures of the strip. */
    this.strip = "";
  }

  get t() {
    return this.folder.search.t;
  }

  /** @param {boolean} directory @param {string} key @param {string} kind */
  chooser(directory, key, kind) {
    const input = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-hidden": "true", "data-own": directory ? "folder" : "files" });
    if (directory) /** @type {any} */ (input).webkitdirectory = true;
    else input.accept = "image/*,.zip";
    input.onchange = () => {
      const files = [...(input.files ?? [])];
      input.value = "";
      if (files.length) this.folder.take(files);
    };
    const button = h(`button.${kind}`, { type: "button", onclick: () => input.click() }, this.t(key));
    button.hidden = directory && !("webkitdirectory" in input);
    return [button, input];
  }

  build() {
    const { t, folder } = this;
    const quiet = (/** @type {Parameters<typeof icon>[0]} */ name, /** @type {string} */ key, /** @type {() => void} */ act) => h("button.quiet", { type: "button", onclick: act }, icon(name), h("span", {}, t(key)));
    const close = h("button.quiet", { type: "button", "aria-label": t("ownClose"), title: t("ownClose"), onclick: () => this.toggle() }, icon("close"));
    const drop = h("div.drop", {}, h("b", {}, t("ownDrop")), ...this.chooser(true, "ownFolder", "solid"), ...this.chooser(false, "ownFiles", "quiet"));
    const line = { what: h("b"), left: h("span"), fill: h("i") };
    const bar = h("div.bar", { role: "progressbar", "aria-label": t("own"), "aria-valuemin": "0", "aria-valuemax": "100" }, line.fill);
    const halt = h("button.quiet", { type: "button", onclick: () => (folder.work?.halted ? folder.work.goOn() : folder.work?.halt()) });
    const stop = h("button.quiet", { type: "button", onclick: () => folder.work?.stop() }, t("ownStop"));
    const far = h("div", { hidden: true }, h("div.far-line", {}, line.what, line.left), bar, h("div.row.turns", {}, halt, stop));
    const said = h("p");
    const wrong = h("p.wrong", { hidden: true });
    const bad = h("details", { hidden: true }, h("summary"), h("ul"));
    const aside = h("small", { hidden: true });
    const strip = h("div.strip", { role: "group", "aria-label": t("ownStrip"), hidden: true });
    const scopes = /** @type {[Scope, string][]} */ ([["both", "ownBoth"], ["own", "ownOnly"], ["shipped", "ownShipped"]]).map(([scope, key]) => h("button", { type: "button", "data-scope": scope, onclick: () => folder.within(scope) }, t(key)));
    const scope = h("div.row", {}, h("span", {}, t("ownScope")), h("div.scope", { role: "group", "aria-label": t("ownScope") }, ...scopes));
    const keep = h("input", { type: "checkbox", onchange: () => folder.keep(keep.checked) });
    const size = h("small");
    const publish = quiet("save", "ownPublish", () => folder.publish());
    const after = h("div.row", {}, h("label", {}, keep, h("span", {}, t("ownKeep"), " ", size)), publish, quiet("close", "ownForget", () => folder.forget()));
    const node = h("section.own", { "aria-label": folder.search.number > 1 ? `${t("own")} ${folder.search.number}` : t("own"), part: "folder" }, h("header", {}, h("div", {}, h("h2", {}, t("own")), h("p", {}, t("ownHint"))), close), drop, far, said, wrong, bad, aside, strip, scope, after);
    return { node, drop, line, bar, halt, far, said, wrong, bad, aside, strip, scopes, scope, keep, size, publish, after };
  }

  toggle() {
    this.show(!this.shown || this.view !== this.folder.search.view);
  }

  /** @param {boolean} on */
  show(on) {
    const { view } = this.folder.search;
    this.shown = on;
    if (!view) return;
    if (this.view !== view) {
      wear(/** @type {ShadowRoot} */ (view.out.getRootNode()), css);
      this.view = view;
      this.strip = "";
      this.parts = this.build();
      view.error.node.before(this.parts.node);
      /** @type {HTMLElement} */ (view.out.parentElement).style.setProperty("--_own", JSON.stringify(this.t("ownMark")));
    }
    const button = view.note.parentElement?.querySelector(".folder-open");
    button?.setAttribute("aria-expanded", String(on));
    if (this.parts) this.parts.node.hidden = !on;
    if (!on) {
      this.folder.rest();
      /** @type {HTMLElement | null} */ (button ?? null)?.focus({ preventScroll: true });
    } else this.folder.helpers.warm();
    this.paint();
  }

  paint() {
    const { parts, folder } = this;
    if (!parts) return;
    const { pictures, search } = folder;
    const some = pictures.length > 0;
    parts.node.classList.toggle("some", some || Boolean(folder.work));
    this.progress();
    this.aside();
    const { error, t } = { error: folder.error, t: this.t };
    const { what, mend } = error?.sentences(t) ?? { what: "", mend: "" };
    parts.wrong.hidden = !error;
    parts.wrong.textContent = `${what} ${mend}`.trim();
    const { left } = folder;
    parts.said.textContent = folder.said || (folder.work ? "" : left ? t("ownLeft", { n: left.total - left.left, total: left.total }) : some ? t("ownReady", { n: pictures.length }) : "");
    parts.said.hidden = !parts.said.textContent;
    parts.scope.hidden = parts.strip.hidden = parts.after.hidden = !some;
    for (const one of parts.scopes) one.setAttribute("aria-pressed", String(one.dataset.scope === (search.scope.scope ?? "both")));
    parts.keep.checked = folder.keeping;
    parts.size.textContent = `(${t("ownKept", { n: megabytes(folder.bytes) })})`;
    parts.publish.toggleAttribute("disabled", Boolean(folder.work));
    this.newest();
  }

  progress() {
    const { t } = this;
    const { work } = this.folder;
    const { far, line, bar, halt } = /** @type {ReturnType<Panel["build"]>} */ (this.parts);
    far.hidden = !work;
    if (!work) return;
    const { over: n, total } = work;
    const pace = work.halted ? null : work.pace;
    line.what.textContent = work.halted ? t("ownPaused", { n, total }) : work.listing && !n ? t("ownLooking", { n: total }) : t("ownOf", { n, total });
    const seconds = pace?.left ?? null;
    const time = seconds === null ? "" : seconds < 90 ? t("ownSeconds", { n: Math.max(1, Math.round(seconds)) }) : t("ownMinutes", { n: Math.round(seconds / 60) });
    line.left.textContent = [pace && t("ownRate", { n: pace.rate < 10 ? Math.round(pace.rate * 10) / 10 : Math.round(pace.rate) }), time].filter(Boolean).join(" · ");
    const part = total ? n / total : 0;
    line.fill.style.setProperty("--part", String(part));
    bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
    halt.textContent = t(work.halted ? "ownGoOn" : "ownPause");
  }

  /** What was not read, by name. */
  aside() {
    const { t } = this;
    const work = this.folder.work ?? this.folder.last;
    const { bad, aside } = /** @type {ReturnType<Panel["build"]>} */ (this.parts);
    bad.hidden = !work?.bad;
    const [summary, list] = bad.children;
    if (work && list.children.length < work.named.length + Number(work.bad > work.named.length)) {
      const lines = work.named.map(({ path, why }) => h("li", {}, ...complaint(path, why, t)));
      const more = work.bad - work.named.length;
      list.replaceChildren(...lines, ...(more ? [h("li", {}, t("ownBadMore", { n: more }))] : []));
    } else if (!work?.bad) list.replaceChildren();
    summary.textContent = work?.bad ? t("ownBad", { n: work.bad }) : "";
    const words = work ? [work.others && t("ownOthers", { n: work.others }), work.twice && t("ownTwice", { n: work.twice })].filter(Boolean) : [];
    aside.textContent = words.join(" ");
    aside.hidden = !words.length;
  }

  newest() {
    const { folder } = this;
    const { strip } = /** @type {ReturnType<Panel["build"]>} */ (this.parts);
    const from = Math.max(0, folder.pictures.length - NEWEST);
    const now = folder.pictures.slice(from).map(({ url }) => url).join(" ");
    // While somebody is in it, it stays as it is.
    if (now === this.strip || (now && strip.matches(":focus-within"))) return;
    this.strip = now;
    const buttons = folder.pictures.slice(from).map(({ title, url }, at) => h("button", { type: "button", "aria-label": this.t("ownUse", { title }), title, onclick: () => folder.search.pick(folder.item(from + at), false) }, h("img", { src: url, alt: "" })));
    strip.replaceChildren(...buttons.reverse());
  }

  /** @param {?number} part from 0 to 1; null when it is over */
  publishing(part) {
    const { publish } = /** @type {ReturnType<Panel["build"]>} */ (this.parts);
    publish.toggleAttribute("disabled", part !== null);
    /** @type {HTMLElement} */ (publish.lastChild).textContent = part === null ? this.t("ownPublish") : `${Math.round(part * 100)} %`;
  }

  /** @param {Blob} blob */
  save(blob) {
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: "thisbut-gallery.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}
