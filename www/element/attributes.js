// The element's attributes as properties.

import { Field } from "./field.js";

/** @import { Device } from "../types.js" */

/** As many results as the engine gives. */
export const MOST = 5000;

export class Attributes extends Field {
  /** Folder with `bundle.json`. */
  get bundle() {
    return this.getAttribute("bundle") ?? "";
  }

  set bundle(value) {
    this.#reflect("bundle", value);
  }

  /** Loads at once. */
  get preload() {
    return this.hasAttribute("preload");
  }

  set preload(value) {
    this.toggleAttribute("preload", Boolean(value));
  }

  /** Whether the search is kept in the page's address. */
  get address() {
    return this.hasAttribute("address");
  }

  set address(value) {
    this.toggleAttribute("address", Boolean(value));
  }

  /** Results at a time. */
  get limit() {
    const limit = Math.trunc(Number(this.getAttribute?.("limit")));
    return limit >= 1 ? Math.min(limit, MOST) : 24;
  }

  set limit(value) {
    this.#reflect("limit", value);
  }

  /** @returns {Device | "auto"} */
  get device() {
    const device = this.getAttribute("device");
    return device === "cpu" || device === "webgpu" ? device : "auto";
  }

  set device(value) {
    this.#reflect("device", value);
  }

  /** ms that the engine may stay silent while it loads. */
  get timeout() {
    const timeout = Number(this.getAttribute("timeout"));
    return timeout > 0 ? timeout : 60_000;
  }

  set timeout(value) {
    this.#reflect("timeout", value);
  }

  /** Address of worker.js, where it does not lie beside the element. */
  get worker() {
    return this.getAttribute("worker") ?? "";
  }

  set worker(value) {
    this.#reflect("worker", value);
  }

  /** @param {string} name @param {unknown} value */
  #reflect(name, value) {
    if (value === null || value === undefined || value === "") this.removeAttribute(name);
    else this.setAttribute(name, String(value));
  }
}
