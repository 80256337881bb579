// The reference slot: takes an image from the file picker, the camera, a drop or a paste, and shows the one in use. Where
// the bundle cannot read new images, it leads to the gallery instead.

import { h, icon } from "./dom.js";
import { ThisButError } from "./errors.js";

/** @import { Reference, Translate } from "../types.js" */

const touch = () => matchMedia("(pointer: coarse)").matches;

export class Slot {
  /**
   * @param {{t: Translate, host: HTMLElement, take: (blob: Blob, name: string) => void, clear: () => void,
   *   refuse: (error: ThisButError) => void, lead: () => void}} options
   */
  constructor({ t, host, take, clear, refuse, lead }) {
    this.t = t;
    this.host = host;
    this.take = take;
    this.clear = clear;
    this.refuse = refuse;
    this.lead = lead;
    /** Only the gallery's images can be started from. */
    this.closed = false;
    /** @type {?Reference} */
    this.shown = null;
    this.gone = new AbortController();
    this.depth = 0;
    this.file = this.input(false);
    this.shot = this.input(true);
    this.main = h(
      "button.slot-main",
      { type: "button", part: "reference-button", onclick: () => this.open() },
      h("span.empty", {}, icon("image"), h("b", {}, t("slotTitle")), h("small", {}, t(touch() ? "slotHintTouch" : "slotHint"))),
    );
    this.remove = h(
      "button.round.remove",
      { type: "button", "aria-label": t("remove"), title: t("remove"), hidden: true, onclick: () => this.clear() },
      icon("close"),
    );
    this.veil = h("div.veil", { "aria-hidden": "true" }, t("slotDrop"));
    this.node = h("div.slot", { part: "reference" }, this.main, this.remove, this.veil, this.file, this.shot);
    this.camera = h(
      "button.quiet.camera",
      { type: "button", hidden: !touch(), onclick: () => this.shot.click() },
      icon("camera"),
      t("camera"),
    );
    this.listen();
  }

  /** To another image: the file picker, or the gallery. */
  open() {
    if (this.closed) this.lead();
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
      const [file] = input.files ?? [];
      if (file) this.take(file, file.name);
      input.value = "";
    });
    return input;
  }

  listen() {
    const { host } = this;
    const { signal } = this.gone;
    const carries = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    host.addEventListener("dragenter", (event) => carries(event) && this.drag(event, 1), { signal });
    host.addEventListener("dragleave", (event) => carries(event) && this.drag(event, -1), { signal });
    host.addEventListener("dragover", (event) => carries(event) && event.preventDefault(), { signal });
    host.addEventListener("drop", (event) => this.dropped(event), { signal });
    // Pasting works anywhere on the page, unless some other field has the focus.
    document.addEventListener("paste", (event) => this.pasted(event), { signal });
  }

  /** @param {DragEvent} event @param {number} by */
  drag(event, by) {
    event.preventDefault();
    this.depth = Math.max(0, this.depth + by);
    this.node.classList.toggle("over", this.depth > 0 && !this.closed);
  }

  /** @param {DragEvent} event */
  dropped(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.depth = 0;
    this.node.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) this.take(file, file.name);
    else this.refuse(new ThisButError("image", { key: "image.none" }));
  }

  /** @param {ClipboardEvent} event */
  pasted(event) {
    const inside = event.composedPath().includes(this.host);
    const elsewhere = document.activeElement?.matches("input, textarea, [contenteditable]");
    if (!inside && elsewhere) return;
    const item = [...(event.clipboardData?.items ?? [])].find((one) => one.kind === "file");
    if (!item) return;
    event.preventDefault();
    const file = item.getAsFile();
    if (file) this.take(file, file.name);
  }

  /** @param {?Reference} reference */
  show(reference) {
    const { t } = this;
    this.shown = reference;
    this.remove.hidden = !reference;
    this.camera.hidden = Boolean(reference) || this.closed || !touch();
    this.node.classList.toggle("full", Boolean(reference));
    this.node.classList.toggle("soft", Boolean(reference?.soft));
    const old = this.main.querySelector("img");
    old?.remove();
    this.main.setAttribute("aria-label", reference ? `${t("referenceItem", { title: reference.title })}. ${t("slotChange")}` : this.closed ? `${t("slotGallery")}. ${t("slotGalleryHint")}.` : t("slotTitle"));
    this.main.title = reference ? t("slotChange") : "";
    if (reference) this.main.prepend(h("img", { src: reference.image, alt: "", draggable: false }));
  }

  destroy() {
    this.gone.abort();
  }
}
