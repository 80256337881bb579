// A search and its steps: what was chosen and said, what is asked of the engine, and which answer is still wanted. Lives
// as long as the element does, in the page or out of it; `view` and `client` are there while it is in it.

import { MOST } from "./attributes.js";
import { calm } from "./dom.js";
import { ThisButError } from "./errors.js";
import { chips, offered, paint, tokens } from "./paint.js";
import { explain, refined, sentences } from "./parts.js";
import { fromItem } from "./reference.js";
import { open, saves, show } from "./start.js";
import { Steps } from "./steps.js";
import { describe } from "./suggest.js";
import { fail } from "./trouble.js";
import { toggle } from "./words.js";

/** @import { How, Item, Reference, Translate } from "../types.js" */
/** @import { Client } from "./client.js" */
/** @import { View } from "./view.js" */

/** Start pictures; what is over fills the last row; pictures where nothing is close. */
const PICKER = 18;
const SPARE = 12;
const FAR = 5;
const ABSENT = /** @type {any} */ (null);

export class Search {
  /** @param {import("./element.js").ThisBut} host */
  constructor(host) {
    this.host = host;
    /** @type {View} */
    this.view = ABSENT;
    /** @type {Client} */
    this.client = ABSENT;
    /** @type {Translate} */
    this.t = ABSENT;
    this.steps = new Steps();
    /** The newest question, and the newest choice of an image. */
    this.asked = this.chosen = this.timer = 0;
    this.limit = host.limit;
    /** Which images are ranked, where the visitor has own ones. @type {{scope?: import("../types.js").Scope}} */
    this.scope = {};
    /** Position in the gallery of the next start pictures. */
    this.offset = 0;
    this.used = false;
    /** Tells it from the other elements in the page. */
    this.number = 1;
    /** @type {?Client} */
    this.greeted = null;
    /** What is to be said beside the next image. */
    this.aside = "";
    /** @type {string[]} */
    this.examples = [];
    /** What the bundle shows without its model. @type {?import("../types.js").Opening} */
    this.opening = null;
    /** It is known whether there is an opening: until then nothing is shown that would have to move. */
    this.settled = false;
    /** A download that waits until a visitor who saves data has agreed to it. @type {?import("./start.js").Consent} */
    this.consent = null;
    /** What keeps the search in the page's address, once it is there. @type {?typeof import("./later/address.js")} */
    this.address = null;
    /** @type {?Promise<void>} */
    this.routing = null;
    /** Where the page's address leads, until that is shown. @type {?import("./later/address.js").Place} */
    this.place = null;
  }

  get step() {
    return this.steps.current;
  }

  get info() {
    return this.client?.info ?? null;
  }

  /** Nothing to search by: the gallery is looked at. Words wait for an image where they find nothing alone. */
  get browsing() {
    return !this.step.reference && (!this.steps.text || (this.info ?? this.opening)?.words === false);
  }

  /** Into the page, or with another face or engine: what was there is there again. */
  show() {
    this.view.input.value = this.step.draft;
    this.view.grid.render = this.host.renderItem;
    this.view.grid.onfit = () => this.render();
    if (this.info) this.greet();
    show(this);
    this.render();
    if (this.step.hits) this.found();
  }

  /** In sight. */
  open() {
    open(this).catch((reason) => this.fail(reason));
  }

  /** Another bundle: what is known of the one before is none of its. */
  forget() {
    Object.assign(this, { opening: null, consent: null, settled: false });
  }

  /** Nobody waits for an answer any longer. */
  leave() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.chosen += 1;
  }

  /** @param {boolean} warm whether the engine starts though the answer that is there still stands */
  begin(warm = false) {
    // Who saves data is asked first, as soon as the bytes are known.
    if (this.used || !this.client || (!this.settled && saves())) return;
    this.used = this.settled = true;
    if (!this.step.hits || this.steps.stale) this.run();
    else if (warm) this.engine().catch((reason) => this.fail(reason, true));
  }

  /** Asks without waiting: what goes wrong is shown. */
  run() {
    this.answer().catch(() => {});
  }

  /**
   * The engine, started if need be.
   * @param {How} [how]
   */
  async engine(how) {
    this.used = this.settled = true;
    const { client, view } = this;
    await this.consent?.given;
    import("./later/decode.js").catch(() => {}); // Images are read soon.
    sentences();
    if (!client.info || how) {
      view.error.show(null);
      view.progress.show({ loaded: 0, total: null, stage: "" });
      view.chips.hidden = true;
    }
    try {
      await client.start(how);
    } finally {
      if (client === this.client) {
        this.view.progress.show(null);
        this.view.chips.hidden = false;
      }
    }
    if (client !== this.client) throw new ThisButError("closed");
    if (this.greeted === client && !how) return;
    this.greeted = client;
    this.greet();
    if (this.step.stored) this.run(); // An answer that was stored is completed.
    this.view.live.say(this.t("ready", { n: client.info?.count ?? 0 }));
    this.host.emit("ready", client.info);
  }

  greet() {
    if (this.info?.upload === false) this.close();
    this.facts();
  }

  facts() {
    explain(this);
  }

  /** @param {unknown} reason @param {boolean} keep the present answer is still one */
  fail(reason, keep = false) {
    fail(this, reason, keep);
  }

  /** Nothing is under way. */
  calm() {
    this.view.out.classList.remove("stale");
    this.view.go.classList.remove("busy");
  }

  /** The words that stay when a picture is picked: those that have found nothing yet. */
  kept() {
    const { tokens, draft, answered } = this.step;
    return answered !== null && !this.browsing ? { tokens: [], draft: "" } : { tokens, draft };
  }

  /** @param {Item} item @param {boolean} typing */
  pick(item, typing) {
    const taken = this.host.emit("select", item, { cancelable: true });
    if (taken) this.refer(fromItem(item), this.kept()).catch(() => {});
    else this.step.picked = { item, text: this.steps.text };
    this.host.entered(true);
    if (!taken) return;
    // The sentence is where the next words go; on a phone it is above the fold that was scrolled away.
    if (this.host.getBoundingClientRect().top < 0) this.top();
    if (typing) this.view.input.focus({ preventScroll: true });
  }

  top() {
    this.host.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
  }

  /** @param {Reference} reference @param {{tokens: string[], draft: string}} words */
  refer(reference, { tokens, draft }) {
    this.chosen += 1;
    this.steps.put(reference, tokens, draft);
    this.turned("announceReference", { title: reference.title });
    return this.answer();
  }

  /** Another step is looked at. @param {string} key @param {Record<string, unknown>} [values] */
  turned(key, values) {
    clearTimeout(this.timer);
    this.place = null;
    this.limit = this.host.limit;
    this.view.input.value = this.step.draft;
    this.view.note.textContent = this.aside;
    this.aside = "";
    this.view.error.show(null);
    this.render();
    this.view.live.say(this.t(key, values));
  }

  clear() {
    this.chosen += 1;
    this.steps.put(null, this.step.tokens, this.step.draft);
    this.turned("announceCleared");
    this.view.slot.main.focus();
    this.run();
  }

  /** The bundle cannot read new images: only the gallery's are offered. */
  close() {
    this.view.slot.close();
    this.view.privacy.textContent = this.t("privacyGallery");
  }

  /** To the gallery's pictures, to choose one; the words stay. */
  async lead() {
    this.view.error.show(null);
    this.chosen += 1;
    if (this.step.reference) {
      this.steps.put(null, this.step.tokens, this.step.draft);
      await this.answer().catch(() => {});
    } else this.begin();
    this.view?.grid.enter();
  }

  /** Back to the beginning: no image, no words. @param {boolean} begin whether the engine is wanted if it is not there */
  restart(begin = true) {
    this.leave();
    this.steps.reset();
    if (!this.view) return;
    this.turned("stepStart");
    if (!begin && !this.used) return;
    if (begin && matchMedia("(pointer: fine)").matches) this.view.input.focus({ preventScroll: true });
    this.run();
  }

  /** @param {number} position */
  back(position) {
    this.leave();
    this.steps.go(position);
    this.turned("announceStep");
    this.calm();
    if (this.step.hits && !this.steps.stale) this.found();
    else this.run();
  }

  /**
   * Runs the present step's search. Gives the hits; fails with "superseded" where something else was asked meanwhile.
   * @param {How} [how] how the engine is to be started
   * @returns {Promise<Item[]>}
   */
  async answer(how) {
    const turn = ++this.asked;
    const { view, opening } = this;
    if (!this.info && opening && this.browsing && !this.step.hits) this.offer(opening.items, opening.total, opening.words);
    this.render();
    view.out.classList.add("stale");
    view.go.classList.add("busy");
    const still = () => {
      if (turn !== this.asked || !this.view) throw new ThisButError("superseded");
    };
    try {
      await this.routing;
      still();
      await this.engine(how);
      still();
      await this.address?.arrive(this, still);
      if (this.browsing && this.step.hits && this.step.answered === null) this.found();
      else if (this.browsing) await this.browse(still);
      else await this.query(still);
      this.calm();
      return this.host.hits;
    } catch (reason) {
      if (turn === this.asked) this.fail(reason);
      throw ThisButError.from(reason);
    }
  }

  /** @param {() => void} still throws when this is not wanted any longer */
  async query(still) {
    const { step, limit } = this;
    const { text } = this.steps;
    const { reference } = step;
    const began = performance.now();
    const found = await this.client.query({ image: reference, text, limit: limit + SPARE, refined: { ...step.refined, ...this.scope } });
    still();
    this.view.error.show(null);
    Object.assign(step, { hits: found.hits, answered: text, stored: false, far: found.far, timings: { ...found.timings, total: performance.now() - began } });
    if (reference && !reference.about && !text) reference.about = { title: found.hits.slice(0, 3).map(describe).join(" "), changes: found.hits[0]?.changes };
    if (found.cut && !this.view.note.textContent) this.view.note.textContent = this.t("unread");
    this.found();
    const hits = found.hits.slice(0, limit);
    const told = found.far ? "nothingClose" : hits.length ? "announceResults" : "announceNone";
    this.view.live.say(this.t(told, { n: hits.length, title: hits[0]?.title ?? "" }));
    this.host.entered(true);
    this.host.emit("results", { hits, timings: step.timings, reference, text, far: Boolean(found.far) });
  }

  /** Pictures to start from: a window that moves through the gallery. @param {() => void} still */
  async browse(still) {
    const { items, total } = await this.client.browse(this.offset, PICKER + SPARE);
    still();
    this.offer(items, total, this.info?.words !== false);
  }

  /** @param {Item[]} items @param {number} total of the gallery @param {boolean} words whether they find something alone */
  offer(items, total, words) {
    Object.assign(this.step, { hits: items, answered: null });
    // Without an image there is nothing to change: short titles show what can be looked for.
    const short = items.map(({ title }) => title).filter((title) => title.length <= 22 && /^[\p{L} -]+$/u.test(title));
    this.examples = words ? short.slice(0, 5) : [];
    this.found();
    this.offset = (this.offset + this.view.grid.shown) % Math.max(1, total);
  }

  shuffle() {
    this.step.hits = null;
    this.run();
  }

  more() {
    // Who wants many is not made to ask a hundred times.
    this.limit = Math.min(MOST, this.limit + Math.max(this.host.limit, this.limit < 96 ? 0 : this.limit));
    this.run();
  }

  scores() {
    const { scores, grid } = this.view;
    const on = scores.getAttribute("aria-pressed") !== "true";
    scores.setAttribute("aria-pressed", String(on));
    grid.setScores(on);
  }

  found() {
    const { grid, moreRow, out } = this.view;
    const { reference, hits } = this.step;
    out.classList.toggle("far", Boolean(this.step.far && !this.browsing));
    const least = this.browsing ? PICKER : this.step.far ? FAR : this.limit;
    const about = reference?.item === undefined ? "" : reference.title;
    grid.show(hits ?? [], { least, from: about, text: this.steps.text, reference: reference?.image ?? null });
    this.render();
    const all = (hits?.length ?? 0) <= grid.shown;
    moreRow.hidden = this.browsing || this.step.far || all || this.limit >= MOST;
    this.facts();
    if (this.host.address && !this.place) this.address?.write(this.step);
  }

  /** What is offered to say; nothing of a picture that the model does not know. */
  get texts() {
    const { reference, far } = this.step;
    if (!reference) return this.examples;
    return far && reference.blob ? [] : offered(reference, this.host.suggestions, this.info?.suggestions);
  }

  chips() {
    chips(this.view.chips, this.info ? this.texts : [], (text) => this.step.tokens.includes(text), (text) => toggle(this, text));
  }

  render() {
    const { view, t, steps, info, browsing } = this;
    const hint = (this.step.reference && this.texts[0]) || "";
    paint(view, t, { step: this.step, words: steps.text, browsing, info, facts: info ?? this.opening, blanks: browsing ? PICKER : this.limit, hint });
    view.out.hidden = view.how.hidden = !this.settled;
    view.tries.hidden = !this.opening?.examples.length || !browsing || Boolean(steps.text) || !this.step.hits;
    view.link.hidden ||= !this.host.address;
    view.trail.show(steps.list, steps.now);
    tokens(view, t, this.step.tokens, (text) => toggle(this, text));
    this.chips();
    refined(this);
    this.host.entered();
  }
}
