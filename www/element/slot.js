// The reference slot: takes an image from the file picker, the camera, a drop or a paste, and shows the one in use. Where
// the bundle cannot read new images, it leads to the gallery instead.

import { welcome } from "./arrivals.js";
import { h, icon } from "./dom.js";

/** @import { Handlers, Reference, Translate } from "../types.js" */

const touch = () => matchMedia("(pointer: coarse)").matches;

export class Slot {
  /** @param {{t: Translate, host: HTMLElement, on: Pick<Handlers, "take" | "clear" | "crop" | "refuse" | "lead">}} options */
  constructor({ t, host, on }) {
    this.t = t;
    this.on = on;
    /** Only the gallery's images can be started from. */
    this.closed = false;
    /** @type {?Reference} */
    this.shown = null;
    this.gone = new AbortController();
    this.file = this.input(false);
    this.shot = this.input(true);
    this.main = h(
      "button.slot-main",
      { type: "button", part: "reference-button", onclick: () => this.open() },
      h("span.empty", {}, icon("image"), h("b", {}, t("slotTitle")), h("small", {}, t(touch() ? "slotHintTouch" : "slotHint"))),
    );
    this.remove = h(
      "button.round.remove",
      { type: "button", "aria-label": t("remove"), title: t("remove"), hidden: true, onclick: () => on.clear() },
      icon("close"),
    );
    this.cut = h("button.round.cut", { type: "button", "aria-label": t("crop"), title: t("crop"), hidden: true, onclick: () => on.crop() }, icon("crop"));
    this.wait = h("span.wait", { "aria-hidden": "true" });
    this.node = h("div.slot", { part: "reference" }, this.main, this.remove, this.cut, this.wait, this.file, this.shot);
    this.veil = h("div.veil", { "aria-hidden": "true", part: "veil" }, h("b", {}, icon("image"), t("slotDrop")));
    this.camera = h(
      "button.quiet.camera",
      { type: "button", hidden: !touch(), onclick: () => this.shot.click() },
      icon("camera"),
      t("camera"),
    );
    const veil = (/** @type {boolean} */ on) => this.veil.classList.toggle("over", on && !this.closed);
    welcome({ host, take: (what) => on.take(what), refuse: (error) => on.refuse(error), veil }, this.gone.signal);
  }

  /** To another image: the file picker, or the gallery. */
  open() {
    if (this.closed) this.on.lead();
    else this.file.click();
  }

  /** From now on the gallery's images alone. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.node.classList.add("closed");
    this.main.querySelector(".empty")?.replaceChildren(icon("grid"), h("b", {}, this.t("slotGallery")), h("small", {}, this.t("slotGalleryHint")));
    this.show(this.shown);
  }

  /** @param {boolean} camera */
  input(camera) {
    const input = h("input", { type: "file", accept: "image/*", hidden: true, "aria-hidden": "true", tabindex: "-1" });
    if (camera) input.setAttribute("capture", "environment");
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])];
      if (files.length) this.on.take({ files, link: "" });
      input.value = "";
    });
    return input;
  }

  /**
   * A picture that is being read; none where it is not there yet.
   * @param {string} image its address
   */
  reading(image) {
    this.node.classList.add("reading");
    this.node.setAttribute("aria-busy", "true");
    this.picture(image);
  }

  /** @param {string | undefined} image */
  picture(image) {
    const old = this.main.querySelector("img");
    if (old && old.getAttribute("src") === image) return;
    old?.remove();
    this.node.classList.toggle("full", Boolean(image));
    if (!image) return;
    const shown = h("img", { src: image, alt: "", draggable: false, onerror: () => shown.remove() });
    this.main.prepend(shown);
  }

  /** @param {?Reference} reference */
  show(reference) {
    const { t } = this;
    this.shown = reference;
    this.node.classList.remove("reading");
    this.node.removeAttribute("aria-busy");
    this.remove.hidden = !reference;
    this.cut.hidden = !reference || this.closed;
    this.camera.hidden = Boolean(reference) || this.closed || !touch();
    this.node.classList.toggle("soft", Boolean(reference?.soft));
    // Empty, it has words of its own.
    if (reference) this.main.setAttribute("aria-label", `${t("referenceItem", { title: reference.title })}. ${t("slotChange")}`);
    else this.main.removeAttribute("aria-label");
    this.main.title = reference ? t("slotChange") : "";
    this.picture(reference?.image);
  }

  destroy() {
    this.gone.abort();
  }
}
