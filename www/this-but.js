// <this-but>: search by "this, but …". One tag, one module script.
//
// Attributes  bundle   address of the folder with bundle.json (default: "bundle/" beside this script)
//             lang     language of the sentences (default: the page's)
//             preload  start loading at once instead of at first sight or focus
//             limit    results shown at a time (24)
//             device   "auto" | "cpu" | "webgpu" (auto)
//             timeout  ms that the engine may stay silent (60000)
// Properties  info, reference, text, hits; methods show(blob, name), search(), restart(), destroy()
// Events      ready, progress, results, select (cancelable), error; all composed, all with `detail`
// Styling     --this-but-* custom properties and ::part()s, listed in element/styles.js and element/view.js

import { acquire } from "./element/client.js";
import { calm, h } from "./element/dom.js";
import { ThisButError } from "./element/errors.js";
import { chips, paint } from "./element/paint.js";
import { fromFile, fromItem } from "./element/reference.js";
import { Steps } from "./element/steps.js";
import { define, translator } from "./element/strings.js";
import { describe } from "./element/suggest.js";
import { TEXT_LIMIT, build } from "./element/view.js";

/** @import { How, Item, Options, Progress, Reference } from "./types.js" */

const PICKER = 18;
const TYPING_PAUSE = 280;

/** @type {any} */
const ABSENT = null;

export class ThisBut extends HTMLElement {
  static observedAttributes = ["bundle", "lang", "device"];
  static define = define;

  /** There while the element is in a page, as is the client; nothing else calls the methods below. @type {import("./element/view.js").View} */
  #view = ABSENT;
  /** @type {import("./element/client.js").Client} */
  #client = ABSENT;
  #t = translator("en");
  #steps = new Steps();
  #asked = 0;
  #limit = 24;
  #timer = 0;
  /** @type {?IntersectionObserver} */
  #watch = null;
  #page = 0;
  #used = false;
  /** @type {string[]} */
  #examples = [];

  connectedCallback() {
    if (this.#view) return;
    this.#t = translator(this.lang || /** @type {?HTMLElement} */ (this.closest("[lang]"))?.lang || document.documentElement.lang);
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open", delegatesFocus: false });
    this.#view = build(root, this, this.#t, {
      take: (blob, name) => this.show(blob, name),
      clear: () => this.#clear(),
      refuse: (error) => this.#fail(error),
      lead: () => this.#lead(),
      type: () => this.#typed(),
      submit: () => this.#submit(),
      scores: () => this.#scores(),
      pick: (item, typing) => this.#pick(item, typing),
      back: (position) => this.#back(position),
      restart: () => this.restart(),
      act: (way) => this.#act(way),
      more: () => this.#more(),
      shuffle: () => this.#browse(),
    });
    this.#limit = Math.max(1, Number(this.getAttribute("limit")) || 24);
    this.#attach();
    this.#render();
    this.addEventListener("focusin", this.#begin);
    if (this.hasAttribute("preload")) this.#begin();
    else {
      this.#watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#begin(), { rootMargin: "100px" });
      this.#watch.observe(this);
    }
  }

  disconnectedCallback() {
    // Moving the element in the page disconnects and connects it: only a real farewell ends it.
    queueMicrotask(() => this.isConnected || this.destroy());
  }

  /** @param {string} _name @param {?string} before @param {?string} after */
  attributeChangedCallback(_name, before, after) {
    if (!this.#view || before === after) return;
    this.destroy();
    this.connectedCallback();
  }

  /** The engine's description, once ready. */
  get info() {
    return this.#client?.info ?? null;
  }

  /** The image of the present step: `{title, image, item}` or null. */
  get reference() {
    return this.#step.reference;
  }

  get text() {
    return this.#step.text;
  }

  set text(value) {
    this.#view.input.value = value;
    this.#typed();
  }

  /** The present answer. @returns {Item[]} */
  get hits() {
    return this.#step.hits ?? [];
  }

  get #step() {
    return this.#steps.current;
  }

  #attach() {
    const bundle = new URL(this.getAttribute("bundle") || new URL("bundle/", import.meta.url), document.baseURI).href;
    this.#client = acquire({
      bundle: bundle.endsWith("/") ? bundle : `${bundle}/`,
      worker: new URL(this.getAttribute("worker") || "worker.js", import.meta.url).href,
      device: /** @type {Options["device"]} */ (this.getAttribute("device") || "auto"),
      timeout: Number(this.getAttribute("timeout")) || 60_000,
    });
    this.#client.addEventListener("progress", this.#progressed);
    this.#client.addEventListener("device", this.#facts);
  }

  /** Gives everything back: worker (if no other element uses it), listeners, pictures. */
  destroy() {
    if (!this.#view) return;
    clearTimeout(this.#timer);
    this.#watch?.disconnect();
    this.removeEventListener("focusin", this.#begin);
    this.#client.removeEventListener("progress", this.#progressed);
    this.#client.removeEventListener("device", this.#facts);
    this.#client.release();
    this.#steps.reset();
    this.#view.slot.destroy();
    this.#view = ABSENT;
    this.#client = ABSENT;
    this.#used = false;
    this.#asked += 1;
  }

  /** @param {string} name @param {any} detail */
  #emit(name, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable }));
  }

  #progressed = (/** @type {Event} */ event) => {
    const { detail } = /** @type {CustomEvent<Progress>} */ (event);
    if (detail.upload === false) this.#close();
    if (!this.#client?.info) this.#view?.progress.show(detail);
    this.#emit("progress", detail);
  };

  #facts = () => this.#view?.facts.show(this.info, this.#step.timings);

  #begin = () => {
    if (this.#used) return;
    this.#used = true;
    this.#watch?.disconnect();
    this.#start();
  };

  /** @param {How} [how] */
  async #start(how) {
    const { progress, error, live } = this.#view;
    error.show(null);
    if (!this.info || how) progress.show({ loaded: 0, total: null, stage: "" });
    const client = this.#client;
    try {
      const info = await client.start(how);
      if (client !== this.#client) return false;
      progress.show(null);
      if (info.upload === false) this.#close();
      this.#facts();
      this.#chips();
      live.say(this.#t("ready", { n: info.count }));
      this.#emit("ready", info);
      if (!this.#asked) await this.#answer();
      return true;
    } catch (reason) {
      if (client !== this.#client) return false;
      progress.show(null);
      this.#fail(reason);
      return false;
    }
  }

  /** @param {unknown} reason */
  #fail(reason) {
    if (!this.#view) return;
    let error = ThisButError.from(reason);
    if (error.kind === "network" && navigator.onLine === false) error = new ThisButError("network", { key: "error.offline", detail: error.detail });
    this.#view.error.show(error);
    this.#view.out.classList.remove("stale");
    this.#view.go.classList.remove("busy");
    const { out, grid, heading, scores } = this.#view;
    if (["reference", "unreachable"].includes(error.kind) && grid.items.length) {
      // Only this one picture failed: those that are shown are the way on.
      this.#chips();
      heading.textContent = this.#t("pick");
      grid.node.setAttribute("aria-label", this.#t("pick"));
      scores.hidden = true;
      out.classList.remove("ranked");
    } else if (!this.hits.length && error.kind !== "image") out.hidden = true;
    this.#emit("error", { kind: error.kind, message: error.sentences(this.#t).what, detail: error.detail });
  }

  /** @param {string} way */
  async #act(way) {
    const { slot, error } = this.#view;
    error.show(null);
    if (way === "otherImage") return slot.open();
    if (way === "reload") return location.reload();
    this.#view.out.hidden = false;
    this.#render();
    /** @type {Record<string, How>} */
    const hows = { fresh: { fresh: true }, useCpu: { device: "cpu" } };
    this.#asked += 1;
    if (await this.#start(hows[way])) await this.#answer();
  }

  /**
   * Makes an image file the reference.
   * @param {Blob} blob
   * @param {string} name
   */
  async show(blob, name = "") {
    this.#view.error.show(null);
    try {
      if (this.#view.slot.closed) throw new ThisButError("image", { key: "image.gallery" });
      this.#refer(await fromFile(blob, name, this.#t("reference")), this.#step.text);
    } catch (reason) {
      this.#fail(ThisButError.from(reason, "image"));
    }
  }

  /** @param {Item} item @param {boolean} typing */
  #pick(item, typing) {
    if (!this.#emit("select", item, true)) return;
    const text = this.#step.hits && !this.#browsing ? "" : this.#step.text;
    this.#refer(fromItem(item), text);
    // The sentence is where the next words go; on a phone it is above the fold that was scrolled away.
    const top = this.getBoundingClientRect().top;
    if (top < 0) this.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    if (typing) this.#view.input.focus({ preventScroll: true });
  }

  /** @param {Reference} reference @param {string} text */
  #refer(reference, text) {
    this.#steps.put(reference, text);
    this.#view.input.value = text;
    this.#resetLimit();
    this.#render();
    this.#view.live.say(this.#t("announceReference", { title: reference.title }));
    this.#begin();
    this.#answer();
  }

  #clear() {
    this.#steps.put(null, this.#step.text);
    this.#view.error.show(null);
    this.#render();
    this.#view.live.say(this.#t("announceCleared"));
    this.#view.slot.main.focus();
    this.#answer();
  }

  /** The bundle cannot read new images: only the gallery's are offered. */
  #close() {
    if (!this.#view) return;
    this.#view.slot.close();
    this.#view.privacy.textContent = this.#t("privacyGallery");
  }

  /** To the gallery's pictures, to choose one; the words stay. */
  async #lead() {
    this.#view.error.show(null);
    this.#begin();
    if (this.#step.reference) {
      this.#steps.put(null, this.#step.text);
      await this.#answer();
    }
    this.#view?.grid.enter();
  }

  /** Back to the beginning: no image, no words. */
  restart() {
    this.#steps.reset();
    this.#view.input.value = "";
    this.#view.error.show(null);
    this.#resetLimit();
    this.#render();
    this.#view.input.focus({ preventScroll: true });
    this.#answer();
  }

  /** @param {number} position */
  #back(position) {
    this.#steps.go(position);
    this.#asked += 1;
    this.#view.input.value = this.#step.text;
    this.#view.error.show(null);
    this.#resetLimit();
    this.#render();
    this.#view.live.say(this.#t("announceStep"));
    if (this.#step.hits && !this.#browsing) this.#found();
    else this.#answer();
  }

  #resetLimit() {
    this.#limit = Math.max(1, Number(this.getAttribute("limit")) || 24);
  }

  #typed() {
    const raw = this.#view.input.value;
    const cut = [...raw].length > TEXT_LIMIT;
    this.#view.note.textContent = cut ? this.#t("cut", { n: TEXT_LIMIT }) : "";
    const text = (cut ? [...raw].slice(0, TEXT_LIMIT).join("") : raw).trim();
    clearTimeout(this.#timer);
    if (text === this.#step.text) return;
    this.#step.text = text;
    this.#step.stale = true;
    this.#timer = setTimeout(() => this.#answer(), TYPING_PAUSE);
  }

  #submit() {
    clearTimeout(this.#timer);
    this.#begin();
    if (!this.#step.hits || this.#step.stale) this.#answer();
  }

  /** Runs the present step's search. */
  search() {
    return this.#answer();
  }

  get #browsing() {
    return this.#steps.browsing;
  }

  async #answer() {
    const turn = ++this.#asked;
    const current = this.#step;
    const { out, go, live, error } = this.#view;
    this.#render();
    if (!this.info) {
      // The engine answers what is there once it is ready.
      if (!this.#client.starting) this.#used = false;
      this.#begin();
      if (!this.#client.starting) return;
    }
    out.classList.add("stale");
    go.classList.add("busy");
    const began = performance.now();
    try {
      if (this.#browsing) await this.#browse(turn);
      else {
        const { reference, text } = current;
        const found = await this.#client.query({ image: reference, text, limit: this.#limit });
        if (turn !== this.#asked || !this.#view) return;
        error.show(null);
        Object.assign(current, { hits: found.hits, stale: false, timings: { ...found.timings, total: performance.now() - began } });
        if (reference && !reference.about && !text) reference.about = { title: found.hits.slice(0, 3).map(describe).join(" ") };
        this.#found();
        live.say(this.#t("announceResults", { n: found.hits.length, title: found.hits[0]?.title ?? "" }));
        this.#emit("results", { hits: found.hits, timings: current.timings, reference, text });
      }
    } catch (reason) {
      if (turn === this.#asked) this.#fail(reason);
    } finally {
      if (turn === this.#asked && this.#view) {
        out.classList.remove("stale");
        go.classList.remove("busy");
      }
    }
  }

  /** Pictures to start from: a window that moves through the gallery. */
  async #browse(turn = ++this.#asked) {
    const { items, total } = await this.#client.browse(this.#page * PICKER, PICKER);
    if (turn !== this.#asked || !this.#view) return;
    this.#page = (this.#page + 1) % Math.max(1, Math.ceil(total / PICKER));
    this.#step.hits = items;
    // Without an image there is nothing to change: short titles show what can be looked for.
    this.#examples = items.map(({ title }) => title).filter((title) => title.length <= 22 && /^[\p{L} -]+$/u.test(title)).slice(0, 5);
    this.#found();
  }

  #more() {
    this.#limit += Math.max(1, Number(this.getAttribute("limit")) || 24);
    this.#answer();
  }

  #scores() {
    const on = this.#view.scores.getAttribute("aria-pressed") !== "true";
    this.#view.scores.setAttribute("aria-pressed", String(on));
    this.#view.grid.setScores(on);
  }

  #found() {
    const { grid, moreRow } = this.#view;
    this.#render();
    grid.show(this.hits);
    moreRow.hidden = this.#browsing || this.hits.length < this.#limit || this.hits.length >= (this.info?.count ?? 0) || this.#limit >= 96;
    this.#chips();
    this.#facts();
  }

  #chips() {
    const texts = chips(this.#step, this.info?.suggestions, this.#examples);
    this.#view.chips.replaceChildren(
      ...texts.map((text) => h("button.chip", { type: "button", part: "suggestion", onclick: () => this.#say(text) }, text)),
    );
  }

  #render() {
    paint(this.#view, this.#t, { steps: this.#steps, info: this.info, blanks: this.#browsing ? PICKER : this.#limit });
  }

  /**
   * Takes a suggestion as if it had been typed.
   * @param {string} text
   */
  #say(text) {
    const { input } = this.#view;
    input.value = text;
    this.#typed();
    this.#submit();
    input.focus({ preventScroll: true });
  }
}

export { define };

// Two copies of the script on one page are one element.
if (!customElements.get("this-but")) customElements.define("this-but", ThisBut);
