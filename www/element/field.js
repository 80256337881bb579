// The element as a field of a form: its name, what it is worth, whether it may be empty or used at all. What it is worth says
// element.js.

// Servers that render pages import this file without a DOM.
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class Field extends Base {
  static formAssociated = true;

  #internals = this.attachInternals?.();
  /** What a form was told last, and what the page was. */
  #told = "";
  #changed = "";
  /** A form asks for what is missing: the focus that follows is meant for the words. */
  #asked = false;

  /** @returns {?HTMLElement} what takes the focus */
  get entry() {
    return null;
  }

  get value() {
    return "";
  }

  /**
   * Tells the form, and the page once something is decided.
   * @param {{state: string, missing: string, done?: boolean}} how `state`: to come back to; `missing`: what is said where something is required
   */
  tell({ state, missing, done = false }) {
    const { value } = this;
    this.#told = value;
    this.#internals?.setFormValue(value, state);
    this.#check(missing);
    if (!done || value === this.#changed) return;
    this.#changed = value;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** @param {string} missing */
  #check(missing) {
    const empty = this.required && !this.#told;
    // A form sends the focus to what is missing: it has to be able to take it.
    if (empty && !this.hasAttribute("tabindex")) this.tabIndex = -1;
    if (empty) this.#internals?.setValidity({ valueMissing: true }, missing, this.entry ?? undefined);
    else this.#internals?.setValidity({});
  }

  /** Its listeners. @param {AbortSignal} signal */
  listen(signal) {
    const enter = () => this.entry?.focus();
    this.addEventListener("invalid", () => ((this.#asked = true), setTimeout(() => (this.#asked = false))), { signal });
    this.addEventListener("focus", () => this.#asked && enter(), { signal });
    // A label has been clicked.
    this.addEventListener("click", (event) => event.composedPath()[0] === this && enter(), { signal });
  }

  /** The form that it belongs to. */
  get form() {
    return this.#internals?.form ?? null;
  }

  get labels() {
    return this.#internals?.labels ?? null;
  }

  get validity() {
    return this.#internals?.validity;
  }

  get validationMessage() {
    return this.#internals?.validationMessage ?? "";
  }

  get willValidate() {
    return this.#internals?.willValidate ?? false;
  }

  checkValidity() {
    return this.#internals?.checkValidity() ?? true;
  }

  reportValidity() {
    return this.#internals?.reportValidity() ?? true;
  }

  /** Its name in what the form sends. */
  get name() {
    return this.getAttribute("name") ?? "";
  }

  set name(value) {
    this.setAttribute("name", value);
  }

  /** Whether the form needs something from it. */
  get required() {
    return this.hasAttribute("required");
  }

  set required(value) {
    this.toggleAttribute("required", Boolean(value));
  }

  /** Not to be used, and not sent. */
  get disabled() {
    return this.hasAttribute("disabled");
  }

  set disabled(value) {
    this.toggleAttribute("disabled", Boolean(value));
  }
}
