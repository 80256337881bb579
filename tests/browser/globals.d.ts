// What tests and benchmarks put into a page, for the type checker.

interface HTMLElementTagNameMap {
  "this-but": any;
}

interface GlobalEventHandlersEventMap {
  ready: CustomEvent;
  results: CustomEvent;
  select: CustomEvent;
}

interface Window {
  answered: boolean;
  answers: any[];
  chosen: any;
}

declare module "/ort/ort.wasm.min.mjs";
declare module "/runtime/cpu.js";
