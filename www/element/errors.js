// One shape for everything that can go wrong: a kind the page can act on, a sentence, and what to do about it.

import { known } from "./strings.js";

/** An error that a visitor may read. `kind` is a key of strings.js (`error.<kind>`), `detail` is for developers. */
export class ThisButError extends Error {
  /**
   * @param {string} kind
   * @param {{message?: string, mend?: string, key?: string, values?: Record<string, unknown>, detail?: string}} [more]
   */
  constructor(kind, { message = "", mend = "", key = "", values = {}, detail = "" } = {}) {
    super(message || kind);
    this.name = "ThisButError";
    this.kind = kind;
    this.mend = mend;
    this.key = key || `error.${kind}`;
    this.values = values;
    this.detail = detail;
  }

  /**
   * From whatever was thrown or posted.
   * @param {any} reason
   */
  static from(reason, kind = "runtime") {
    if (reason instanceof ThisButError) return reason;
    if (reason && typeof reason === "object" && typeof reason.kind === "string") {
      return new ThisButError(reason.kind, { message: reason.message, mend: reason.mend, detail: reason.message, ...(reason.key && { key: reason.key, values: reason.values, detail: reason.detail }) });
    }
    const detail = String(reason?.message ?? reason ?? "");
    return new ThisButError(kind, { message: detail, detail });
  }

  /**
   * The two sentences for a visitor, in their language: what happened, and what to do.
   * @param {import("../types.js").Translate} t
   */
  sentences(t) {
    const key = known(this.key) ? this.key : known(`error.${this.kind}`) ? `error.${this.kind}` : "error.runtime";
    const mend = known(`${key}.mend`) ? `${key}.mend` : known(`error.${this.kind}.mend`) ? `error.${this.kind}.mend` : "";
    return { what: t(key, this.values), mend: mend ? t(mend, this.values) : this.mend };
  }
}
