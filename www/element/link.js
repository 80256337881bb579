// One worker and the questions under way in it. Knows the message format (web/src/protocol.rs), nothing else.

import { ThisButError } from "./errors.js";

/** @import { Message, Progress, Questions } from "../types.js" */

/**
 * A question under way; `quiet` as in `ask`.
 * @typedef {{resolve: (value: any) => void, reject: (reason: ThisButError) => void, timer: number, quiet: number}} Call
 */

/** @type {any} */
let policy = null;

/**
 * An address that a page with Trusted Types accepts as a script's; its policy is called "thisbut".
 * @param {string} url
 * @returns {string}
 */
function trusted(url) {
  const { trustedTypes } = /** @type {any} */ (globalThis);
  if (!trustedTypes) return url;
  policy ??= trustedTypes.createPolicy("thisbut", { createScriptURL: (/** @type {string} */ address) => address });
  return policy.createScriptURL(url);
}

/** @type {(() => Worker) | null} */
let maker = null;

/**
 * How workers are made where none is named: bundlers find a worker's file only where it is created in so many words.
 * @param {() => Worker} make
 */
export function workers(make) {
  maker = make;
}

/** Whether workers can be made without an address. */
export const makes = () => maker !== null;

/**
 * A module worker from any origin: browsers refuse to start a worker straight from another site, but run a one-line
 * local one that imports it.
 * @param {string} url
 */
function spawn(url) {
  if (!url && maker) return maker();
  if (new URL(url).origin === location.origin) return new Worker(trusted(url), { type: "module", name: "thisbut" });
  const shim = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" }));
  try {
    return new Worker(trusted(shim), { type: "module", name: "thisbut" });
  } finally {
    // The worker has its own reference by the time that this runs in every browser's event loop.
    setTimeout(() => URL.revokeObjectURL(shim), 10_000);
  }
}

export class Link {
  /**
   * @param {string} url the worker script; none for one that the page makes (`workers`)
   * @param {{progress?: (p: Progress) => void, lost?: (e: ThisButError) => void}} on
   */
  constructor(url, on = {}) {
    this.on = on;
    this.next = 1;
    /** @type {Map<number, Call>} */
    this.waiting = new Map();
    /** @type {?ThisButError} */
    this.dead = null;
    /** What the page's content policy has refused since. */
    this.refused = "";
    document.addEventListener("securitypolicyviolation", this.policy);
    try {
      this.worker = spawn(url);
    } catch (/** @type {any} */ reason) {
      document.removeEventListener("securitypolicyviolation", this.policy);
      // A page that lists its Trusted Types policies, or no worker sources, refuses by throwing.
      const kind = this.refused || ["TypeError", "SecurityError"].includes(reason?.name) ? "policy" : "unsupported";
      throw new ThisButError(kind, { detail: [this.refused, String(reason)].filter(Boolean).join("; ") });
    }
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      // A worker whose script could not be fetched reports no message at all; nor does one that a policy has refused,
      // and of that the page hears a moment later.
      const fail = () => this.fail(new ThisButError(this.refused ? "policy" : event.message ? "runtime" : "module", { detail: this.refused || event.message || url }));
      setTimeout(fail, event.message ? 0 : 50);
    };
    this.worker.onmessageerror = () => this.fail(new ThisButError("runtime", { detail: "unreadable message" }));
  }

  policy = (/** @type {SecurityPolicyViolationEvent} */ { effectiveDirective, blockedURI }) => {
    if (/worker-src|script-src|child-src|trusted-types|require-trusted/.test(effectiveDirective)) this.refused ||= `${effectiveDirective}: ${blockedURI}`;
  };

  /** @param {Message} message */
  receive(message) {
    if (message.event === "progress") return this.on.progress?.(message);
    if (message.event === "fatal") return this.fail(ThisButError.from(message.error));
    const call = this.waiting.get(message.id);
    if (!call) return;
    this.waiting.delete(message.id);
    clearTimeout(call.timer);
    if (message.ok) call.resolve(message.value);
    else call.reject(ThisButError.from(message.error));
  }

  /**
   * Asks the worker. `quiet` is how long, in ms, it may stay silent; progress counts as a sign of life.
   * @template {keyof Questions} Type
   * @param {Type} type
   * @param {Questions[Type]["asks"]} body
   * @param {{transfer?: Transferable[], quiet?: number}} [how]
   * @returns {Promise<Questions[Type]["answers"]>}
   */
  ask(type, body, { transfer = [], quiet = 60_000 } = {}) {
    if (this.dead) return Promise.reject(this.dead);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const call = { resolve, reject, timer: 0, quiet };
      this.waiting.set(id, call);
      this.arm(call);
      this.worker.postMessage({ ...body, type, id }, transfer);
    });
  }

  /** @param {Call} call */
  arm(call) {
    clearTimeout(call.timer);
    call.timer = setTimeout(() => this.fail(new ThisButError("timeout")), call.quiet);
  }

  /** The worker is alive: every waiting call gets its full time again. */
  alive() {
    for (const call of this.waiting.values()) this.arm(call);
  }

  /**
   * Ends the worker; a panic poisons the wasm module, so there is no way to go on with this one.
   * @param {ThisButError} error
   */
  fail(error) {
    if (this.dead) return;
    this.close(error);
    this.on.lost?.(error);
  }

  close(error = new ThisButError("runtime", { detail: "closed" })) {
    this.dead ??= error;
    document.removeEventListener("securitypolicyviolation", this.policy);
    this.worker.terminate();
    for (const call of this.waiting.values()) {
      clearTimeout(call.timer);
      call.reject(this.dead);
    }
    this.waiting.clear();
  }
}
