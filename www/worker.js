// The worker's loader: picks the module (CPU or WebGPU), fetches it with counted bytes, and hands every message to
// the engine inside. All work is in the wasm module (crate thisbut-web).

import { failure } from "./loader/failure.js";
import { announced, kept, promised } from "./loader/index.js";
import { Meter } from "./loader/meter.js";
import { CACHE, beginning, storage } from "./loader/parts.js";
import { program } from "./loader/program.js";
import { steady, stored } from "./loader/steady.js";

/** @import { Info, Message, Module, Question, Questions } from "./types.js" */

/** @type {?Module} */
let engine = null;

const post = (/** @type {Message} */ message) => self.postMessage(message);

/** The modules of this site. */
async function runtimes() {
  try {
    return (await import("./runtime/runtime.js")).runtime;
  } catch (reason) {
    throw failure("module", `runtime/runtime.js: ${reason}`);
  }
}

/**
 * Tells the meter of every file that has to come.
 * @param {Meter} meter
 * @param {Map<string, number>} files
 */
async function expect(meter, files) {
  const here = await stored([...files.keys()]);
  meter.report({ stored: here.size === files.size });
  const cache = await storage();
  await Promise.all(
    [...files].filter(([url]) => !here.has(url)).map(async ([url, bytes]) => meter.expect(url, bytes, (await beginning(cache, url)).size)),
  );
  meter.settle();
}

/** The index for a worker beside the page's own: as that one has stored it, and what it reads pictures with. @param {string} url */
async function beside(url) {
  const [text] = await Promise.all([kept(url), import("./loader/indexing.js")]);
  return text ?? announced(url);
}

/** @param {Module | null} engine @param {Question} data */
async function answer(engine, data) {
  if (!engine) throw failure("runtime", "the engine is not loaded");
  if (data.type !== "index") return engine.handle(data);
  const { index } = await import("./loader/indexing.js");
  return index(engine, data);
}

/** @param {{id: number} & Questions["load"]["asks"]} question @returns {Promise<Info>} */
async function load({ id, bundle, device, fresh, helper }) {
  const began = performance.now();
  const meter = new Meter((progress) => post({ event: "progress", id, ...progress }));
  const runtime = await runtimes();
  const built = runtime[device];
  if (!built) throw failure("device", `this site has no module for ${device}`, "use the CPU");
  if (fresh && self.caches) await caches.delete(CACHE).catch(() => false);
  const index = new URL("bundle.json", bundle).href;
  const [wasm, text] = [new URL(built.wasm, import.meta.url).href, helper ? beside(index) : announced(index)];
  const size = meter.expect(wasm, built.bytes);
  const known = text.then(async (text) => {
    const { files, upload, words, about } = promised(text, bundle);
    steady(files, meter);
    meter.report({ upload });
    await Promise.all([size, files.size && expect(meter, files)]);
    return { text, words, about };
  });
  const module = await program(built, import.meta.url, Boolean(fresh), meter);
  engine = module;
  const ready = performance.now();
  const { text: manifest, words, about } = await known;
  const info = await module.load({ bundle, device, fresh: false, manifest }, ({ stage }) => meter.report({ stage }));
  const timings = { ...info.timings, runtime: ready - began, total: performance.now() - began };
  return { ...info, ...about, words, webgpu: runtime.webgpu?.bytes ?? 0, bytes: info.bytes + built.bytes, transferred: meter.now.loaded, timings };
}

self.onmessage = async (/** @type {MessageEvent<Question>} */ { data }) => {
  const { id, type } = data;
  try {
    const value = type === "load" ? await load(data) : await answer(engine, data);
    post({ id, ok: true, value });
  } catch (/** @type {any} */ reason) {
    const error = reason?.kind ? reason : failure("runtime", String(reason?.message ?? reason));
    // A trap leaves the module's memory in an unknown state: the page has to start a new worker.
    if (reason instanceof WebAssembly.RuntimeError) post({ event: "fatal", error });
    else post({ id, ok: false, error });
  }
};
