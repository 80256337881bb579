// The element for the one-file build: as this-but.js, without the chance that one of its files is missing.

import { ThisBut } from "../element/element.js";
import { define } from "../element/strings.js";

// Two copies of the script on one page are one element.
if (globalThis.customElements && !customElements.get("this-but")) customElements.define("this-but", ThisBut);

export { ThisBut, define };
