// The worker's loader: picks the module (CPU or WebGPU), fetches it with counted bytes, and hands every message to
// the engine inside. All work is in the wasm module (crate thisbut-web).

import { runtime } from "./runtime/runtime.js";

/** @import { Failure, Info, Message, Module, Progress, Question, Questions } from "./types.js" */

/** @type {?Module} */
let engine = null;

const post = (/** @type {Message} */ message) => self.postMessage(message);

/** @param {string} kind @param {string} message @returns {Failure} */
const failure = (kind, message, mend = "") => ({ kind, message, mend });

/**
 * Downloaded, decoded bytes of the module, so that its share of the total is honest however it was compressed.
 * @param {ReadableStream<Uint8Array>} body
 * @param {(more: number) => void} count
 */
function counted(body, count) {
  const reader = body.getReader();
  const stream = new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      count(value.byteLength);
      controller.enqueue(value);
    },
  });
  return new Response(stream, { headers: { "content-type": "application/wasm" } });
}

/**
 * The text of the bundle's index, which says how many bytes the first answer needs.
 * @param {string} bundle
 */
async function announced(bundle) {
  try {
    const answer = await fetch(new URL("bundle.json", bundle), { cache: "no-store" });
    return answer.ok ? await answer.text() : null;
  } catch {
    // The engine asks again and says what is wrong.
    return null;
  }
}

/**
 * What an index promises: bytes, and whether new images can be read. Nothing where it is unreadable (the engine says why).
 * @param {?string} text
 */
function promised(text) {
  try {
    const { weights, vocab, gallery, form } = JSON.parse(text ?? "");
    const size = [...weights, vocab, ...gallery.chunks, ...gallery.metadata].reduce((sum, file) => sum + file.bytes, 0);
    return { size, upload: form !== "gallery-reference" };
  } catch {
    return {};
  }
}

/**
 * Glue and module of a device.
 * @param {string} glue
 * @param {string} wasm
 * @returns {Promise<[Module, Response]>}
 */
async function fetched(glue, wasm) {
  try {
    return await Promise.all([import(new URL(glue, import.meta.url).href), fetch(new URL(wasm, import.meta.url))]);
  } catch (reason) {
    throw failure("network", String(reason));
  }
}

/** @param {{id: number} & Questions["load"]["asks"]} question @returns {Promise<Info>} */
async function load({ id, bundle, device, fresh }) {
  const built = runtime[device];
  if (!built) throw failure("device", `this site has no module for ${device}`, "use the CPU");
  const { glue, wasm, bytes } = built;
  const began = performance.now();
  /** @type {Progress} */
  const progress = { loaded: 0, total: null, stage: "runtime" };
  const report = () => post({ event: "progress", id, ...progress });
  const manifest = announced(bundle);
  const [module, response] = await fetched(glue, wasm);
  if (!response.ok || !response.body) throw failure("network", `${wasm}: ${response.status}`);
  manifest.then((text) => {
    const { size, upload } = promised(text);
    if (size) progress.total = bytes + size;
    progress.upload = upload;
  });
  await module.default({
    module_or_path: counted(response.body, (more) => {
      progress.loaded += more;
      report();
    }),
  });
  const loaded = progress.loaded;
  engine = module;
  const ready = performance.now();
  const info = await module.load({ bundle, device, fresh, manifest: await manifest }, (part) => {
    post({ event: "progress", id, stage: part.stage, loaded: loaded + part.loaded, total: loaded + part.total });
  });
  const webgpu = Boolean(runtime.webgpu);
  return { ...info, webgpu, bytes: info.bytes + loaded, timings: { ...info.timings, runtime: ready - began, total: performance.now() - began } };
}

self.onmessage = async (/** @type {MessageEvent<Question>} */ { data }) => {
  const { id, type } = data;
  try {
    if (type !== "load" && !engine) throw failure("runtime", "the engine is not loaded");
    const value = type === "load" ? await load(data) : await engine?.handle(data);
    post({ id, ok: true, value });
  } catch (/** @type {any} */ reason) {
    const error = reason?.kind ? reason : failure("runtime", String(reason?.message ?? reason));
    // A trap leaves the module's memory in an unknown state: the page has to start a new worker.
    if (reason instanceof WebAssembly.RuntimeError) post({ event: "fatal", error });
    else post({ id, ok: false, error });
  }
};
