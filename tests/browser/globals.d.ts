// What tests and benchmarks put into a page, for the type checker.

interface HTMLElementTagNameMap {
  "this-but": any;
}

interface GlobalEventHandlersEventMap {
  results: CustomEvent;
  select: CustomEvent;
}

interface Window {
  answers: any[];
  chosen: any;
}

declare module "/ort/ort.wasm.min.mjs";
declare module "/runtime/cpu.js";
