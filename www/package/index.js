// The npm package: brings in the element, and names its worker so that bundlers find it, and the wasm module with it.

import { ThisBut } from "./element/element.js";
import { workers } from "./element/link.js";
import { define } from "./element/strings.js";

if (typeof Worker === "function") workers(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "thisbut" }));

// Two copies of the script on one page are one element.
if (globalThis.customElements && !customElements.get("this-but")) customElements.define("this-but", ThisBut);

export { ThisBut, define };
