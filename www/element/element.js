// <this-but>: search by "this, but …". What a page sees of it: attributes, properties, methods, events. The search itself
// is element/search.js, which outlives moves in the page, other languages and other engines.

import { Attributes } from "./attributes.js";
import { acquire } from "./client.js";
import { ThisButError } from "./errors.js";
import { makes } from "./link.js";
import { copyLink, crop, explain, folder, look, refine, restore, route, why } from "./parts.js";
import { Search } from "./search.js";
import { define, learn, translator } from "./strings.js";
import { take } from "./take.js";
import { act } from "./trouble.js";
import { build } from "./view.js";
import { key, submit, typed } from "./words.js";

/** @import { Item, Options, Progress, RenderItem, Suggestion } from "../types.js" */

/** Properties that a page may set before the element is known to the browser, or in the page. */
const SETTABLE = ["bundle", "preload", "limit", "device", "timeout", "worker", "address", "name", "required", "disabled", "text", "value", "suggestions", "renderItem"];

/** Numbers of the elements in the page: landmarks of one name are hard to tell apart. @type {Set<number>} */
const numbers = new Set();

/** What names a picture in a form: the page's own word for it, or its number. @param {import("../types.js").About & {id?: string, index: number}} item */
const idOf = ({ id, index }) => id ?? String(index);

export class ThisBut extends Attributes {
  static observedAttributes = ["bundle", "lang", "device", "worker", "limit", "address", "required", "preload"];
  static define = define;

  #search = new Search(this);
  /** @type {?IntersectionObserver} */
  #watch = null;
  /** Attributes have changed; they are looked at together. */
  #changed = new Set();
  #gone = new AbortController();
  /** Has been in sight. */
  #seen = false;
  /** @type {?Suggestion[]} */
  #suggestions = null;
  /** @type {?RenderItem} */
  #renderItem = null;

  connectedCallback() {
    if (this.#search.view) return;
    // What was set before the class was there lies on the element itself and hides the properties.
    for (const name of SETTABLE) {
      if (!Object.hasOwn(this, name)) continue;
      const self = /** @type {any} */ (this);
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    const search = this.#search;
    search.steps.wake();
    if (!search.step.hits) search.limit = this.limit;
    while (numbers.has(search.number)) search.number += 1;
    numbers.add(search.number);
    this.#attach();
    this.#face();
    this.listen(signal);
    this.addEventListener("focusin", this.#begin, { signal });
    addEventListener("popstate", ({ state }) => this.address && search.address?.travel(search, state), { signal });
    if (this.address) {
      search.routing = null;
      route(search);
    }
    if (this.preload || search.used) {
      search.used = false;
      this.#begin();
    } else {
      this.#watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#open(), { rootMargin: "100px" });
      this.#watch.observe(this);
    }
  }

  disconnectedCallback() {
    // Moving the element in the page disconnects and connects it: only a real farewell ends it.
    queueMicrotask(() => this.isConnected || this.#detach());
  }

  /** @param {string} name @param {?string} before @param {?string} after */
  attributeChangedCallback(name, before, after) {
    if (!this.#search.view || before === after) return;
    if (!this.#changed.size) queueMicrotask(() => this.#renew());
    this.#changed.add(name);
  }

  /** Renews what depends on the attributes that have changed, and nothing else. */
  #renew() {
    const changed = [...this.#changed];
    this.#changed.clear();
    const search = this.#search;
    if (!search.view || !changed.length) return;
    if (changed.includes("limit")) search.limit = this.limit;
    if (changed.includes("required")) this.entered();
    if (changed.includes("preload") && this.preload) this.#begin();
    if (changed.includes("address") && this.address) route(search);
    const engine = changed.some((name) => ["bundle", "device", "worker"].includes(name));
    if (engine) {
      search.leave();
      this.#drop();
      if (changed.includes("bundle")) {
        search.steps.uproot();
        search.forget();
      }
      this.#attach();
    }
    if (changed.includes("lang") || engine) this.#face();
    if (engine && search.used) {
      search.used = false;
      search.begin(true);
    } else if (changed.includes("bundle") && this.#seen) search.open();
  }

  /** Builds what is seen, in the present language. */
  #face() {
    const search = this.#search;
    const lang = this.lang || /** @type {?HTMLElement} */ (this.closest("[lang]"))?.lang || document.documentElement.lang;
    const t = translator(lang);
    learn(lang).then((learned) => learned && search.view && search.t === t && this.#face());
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open", delegatesFocus: false });
    const typing = root.activeElement === search.view?.input;
    const open = search.view?.how.open;
    search.view?.destroy();
    search.t = t;
    search.view = build(root, this, t, {
      take: (what) => this.#arrived(what),
      clear: () => search.clear(),
      crop: () => crop(search),
      refuse: (error) => search.fail(error),
      lead: () => search.lead(),
      type: () => typed(search),
      key: (event) => key(search, event),
      submit: () => submit(search),
      scores: () => search.scores(),
      pick: (item, typing) => search.pick(item, typing),
      look: (item, rank) => look(search, item, item.score === undefined ? null : rank),
      explain: () => explain(search),
      refine: () => refine(search),
      why: () => why(search),
      leave: () => search.view.input.focus(),
      back: (position) => search.back(position),
      restart: () => this.restart(),
      act: (way) => act(search, way),
      more: () => search.more(),
      shuffle: () => search.shuffle(),
      link: () => copyLink(search),
      top: () => search.top(),
    });
    search.view.how.open = Boolean(open);
    const { number } = search;
    if (number > 1) for (const one of root.querySelectorAll("nav, section[aria-label], form")) one.ariaLabel += ` ${number}`;
    this.formDisabledCallback(this.matches(":disabled"));
    search.show();
    if (this.hasAttribute("folder")) folder(search);
    if (typing) search.view.input.focus({ preventScroll: true });
  }

  /** What a visitor has brought. @param {{files: File[], link: string}} what */
  #arrived({ files, link }) {
    const search = this.#search;
    const file = files.find(({ type }) => type.startsWith("image/")) ?? files[0];
    take(search, file ?? link, file?.name).catch(() => {});
    search.aside = files.length > 1 ? search.t("taken", { name: file.name }) : "";
  }

  #attach() {
    const bundle = new URL(this.bundle || new URL("../bundle/", makes() ? document.baseURI : import.meta.url), document.baseURI).href;
    const client = acquire({
      bundle: bundle.endsWith("/") ? bundle : `${bundle}/`,
      worker: this.worker ? new URL(this.worker, document.baseURI).href : makes() ? "" : new URL("../worker.js", import.meta.url).href,
      device: /** @type {Options["device"]} */ (this.device),
      timeout: this.timeout,
    });
    client.addEventListener("progress", this.#progressed);
    client.addEventListener("device", this.#facts);
    this.#search.client = client;
  }

  /** Gives the engine back. */
  #drop() {
    const { client } = this.#search;
    client.removeEventListener("progress", this.#progressed);
    client.removeEventListener("device", this.#facts);
    client.release();
  }

  /** Out of the page: worker (if no other element uses it), listeners and pictures are given back, the search stays. */
  #detach() {
    const search = this.#search;
    if (!search.view) return;
    search.leave();
    this.#watch?.disconnect();
    this.#gone.abort();
    numbers.delete(search.number);
    search.number = 1;
    this.#drop();
    search.steps.rest();
    search.view.destroy();
    search.view = search.client = /** @type {any} */ (null);
  }

  /** Ends the search for good and gives everything back. Put into a page again, the element begins anew. */
  destroy() {
    this.#detach();
    this.#search.steps.reset();
    this.#search.used = false;
    this.shadowRoot?.replaceChildren();
  }

  /**
   * @param {string} name
   * @param {any} detail
   * @param {{bubbles?: boolean, cancelable?: boolean}} [how] `error` does not bubble: at the window, error reports would take it for theirs
   */
  emit(name, detail, { bubbles = true, cancelable = false } = {}) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles, composed: bubbles, cancelable }));
  }

  #progressed = (/** @type {Event} */ event) => {
    const { detail } = /** @type {CustomEvent<Progress>} */ (event);
    const search = this.#search;
    if (detail.upload === false) search.close();
    if (!search.info) search.view.progress.show(detail);
    this.emit("progress", detail);
  };

  #facts = () => this.#search.facts();

  #open() {
    this.#seen = true;
    this.#watch?.disconnect();
    this.#search.open();
  }

  #begin = () => (this.#watch?.disconnect(), this.#search.begin());

  /** The engine's description, once ready. */
  get info() {
    return this.#search.info;
  }

  /** The image of the present step: `{title, image, item}` or null. */
  get reference() {
    return this.#search.step.reference;
  }

  /** The present answer. @returns {Item[]} */
  get hits() {
    const { step, limit } = this.#search;
    return (step.hits ?? []).slice(0, step.answered === null ? undefined : limit);
  }

  get entry() {
    return this.#search.view?.input ?? null;
  }

  /** What a form gets: the picture that was chosen, or the words where there are some. Setting it sets the words. */
  get value() {
    const { picked, reference } = this.#search.step;
    const { text } = this;
    if (picked?.text === text) return idOf(picked.item);
    return text || (reference?.item === undefined ? "" : idOf({ ...reference.about, index: reference.item }));
  }

  set value(value) {
    this.text = value;
  }

  /** Something is said or chosen; `done`: and asked for. */
  entered(done = false) {
    const { step, t } = this.#search;
    if (!t) return;
    const from = step.reference && String(step.reference.item ?? "own");
    this.tell({ state: String(new URLSearchParams({ ...(from && { from }), words: this.text })), missing: t("required"), done });
  }

  formResetCallback() {
    this.#search.restart(false);
  }

  /** @param {boolean} disabled */
  formDisabledCallback(disabled) {
    const { view } = this.#search;
    if (view) view.shell.inert = disabled;
  }

  /** The browser has come back to a page with this in its form. @param {string} state */
  formStateRestoreCallback(state) {
    if (!this.address) restore(this.#search, state);
  }

  /** All words of the present step. */
  get text() {
    return this.#search.steps.text;
  }

  set text(value) {
    const { view, steps } = this.#search;
    steps.edit([], view ? steps.current.draft : String(value ?? "").trim());
    if (!view) return;
    view.input.value = value ?? "";
    typed(this.#search);
    this.#search.render();
  }

  /** Texts to offer, instead of the bundle's. @type {?Suggestion[]} */
  get suggestions() {
    return this.#suggestions;
  }

  set suggestions(value) {
    this.#suggestions = value ?? null;
    if (this.#search.view) this.#search.render();
  }

  /** Makes what is shown under a picture, from the item; nothing keeps the title. @type {?RenderItem} */
  get renderItem() {
    return this.#renderItem;
  }

  set renderItem(value) {
    this.#renderItem = value ?? null;
    if (!this.#search.view) return;
    this.#search.view.grid.render = this.#renderItem;
    this.#search.view.grid.update();
  }

  /**
   * A promise that a page need not look at: what goes wrong is shown and told by an event as well.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #promise(work) {
    const there = this.#search.view ? work() : Promise.reject(new ThisButError("detached", { message: "this element is not in a page" }));
    there.catch(() => {});
    return there;
  }

  /**
   * Makes an image the reference and gives what is found: a file, the address of a picture, the number or the item of a
   * picture of the gallery.
   * @param {Blob | string | number | Item} image
   * @param {string} name of a file
   */
  show(image, name = "") {
    return this.#promise(() => take(this.#search, image, name));
  }

  /**
   * Searches, with these words if there are any, and gives what is found.
   * @param {string} [text]
   */
  search(text) {
    return this.#promise(() => {
      const search = this.#search;
      if (text !== undefined) {
        search.steps.edit([], String(text).trim());
        search.view.input.value = search.step.draft;
      }
      clearTimeout(search.timer);
      return search.answer();
    });
  }

  /**
   * Pictures of the gallery, in the order in which they are offered as a start.
   * @param {number} offset
   * @param {number} limit
   * @returns {Promise<{items: Item[], total: number}>}
   */
  items(offset = 0, limit = 24) {
    return this.#promise(() => this.#search.client.browse(offset, limit));
  }

  /** No image, no words. */
  restart() {
    this.#search.restart();
  }
}
