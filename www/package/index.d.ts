// Types of the package: the element by its tag, its events, and JSX.

import { ThisBut } from "./types/element/element.js";
import { define } from "./types/element/strings.js";
import type { Info, Item, Progress, Reference, Timings } from "./types/types.js";

export { ThisBut, define };
export type { Info, Item, Progress, Reference, RenderItem, Suggestion } from "./types/types.js";

/** Details of the events of `<this-but>`. */
export interface ThisButEventMap {
  progress: CustomEvent<Progress>;
  ready: CustomEvent<Info>;
  results: CustomEvent<{ hits: Item[]; timings: Timings; reference: Reference | null; text: string; far: boolean }>;
  select: CustomEvent<Item>;
  change: Event;
  error: CustomEvent<{ kind: string; message: string; detail: string }>;
}

/** Attributes of `<this-but>` in JSX, and the properties that React 19 sets. */
export interface ThisButAttributes {
  bundle?: string;
  lang?: string;
  preload?: boolean;
  limit?: number | string;
  device?: "auto" | "cpu" | "webgpu";
  timeout?: number | string;
  worker?: string;
  address?: boolean;
  folder?: boolean;
  name?: string;
  required?: boolean;
  disabled?: boolean;
  text?: string;
  suggestions?: ThisBut["suggestions"];
  renderItem?: ThisBut["renderItem"];
  onprogress?: (event: ThisButEventMap["progress"]) => void;
  onready?: (event: ThisButEventMap["ready"]) => void;
  onresults?: (event: ThisButEventMap["results"]) => void;
  onselect?: (event: ThisButEventMap["select"]) => void;
  onchange?: (event: Event) => void;
  onerror?: (event: ThisButEventMap["error"]) => void;
  id?: string;
  class?: string;
  className?: string;
  style?: unknown;
  key?: string | number;
  ref?: unknown;
  hidden?: boolean;
}

declare global {
  interface HTMLElementTagNameMap {
    "this-but": ThisBut;
  }
  namespace JSX {
    interface IntrinsicElements {
      "this-but": ThisButAttributes;
    }
  }
}
