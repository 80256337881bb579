// The wasm module and its glue, checked against the hashes that scripts/build-web wrote down: a damaged copy is asked
// for once more from the server itself, a web page in its place is named.

import { failure } from "./failure.js";
import { within } from "./steady.js";

/** @import { Built, Module } from "../types.js" */
/** @import { Meter } from "./meter.js" */

const SILENCE = 15_000;

/** @param {ArrayBuffer} body */
async function digest(body) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Response} answer
 * @param {(here: number) => void} count
 */
async function whole(answer, count) {
  const reader = answer.body?.getReader();
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const pieces = [];
  for (let size = 0; reader; ) {
    const { done, value } = await within(reader.read(), SILENCE);
    if (done) break;
    pieces.push(value);
    count((size += value.byteLength));
  }
  return new Blob(pieces).arrayBuffer();
}

/**
 * One file of the program, with the hash that it should have.
 * @param {string} url
 * @param {string | undefined} sha256
 * @param {RequestCache} cache
 * @param {(here: number) => void} count
 * @returns {Promise<ArrayBuffer>}
 */
async function file(url, sha256, cache, count) {
  const name = new URL(url).pathname;
  const answer = await within(fetch(url, { cache }), SILENCE);
  if (!answer.ok) throw failure(answer.status < 500 ? "module" : "network", `${name}: the server answers ${answer.status}`);
  const body = await whole(answer, count);
  const start = new TextDecoder().decode(body.slice(0, 64)).trimStart();
  if (start.startsWith("<")) throw failure("html", `${name}: the server answers with a web page`);
  // Outside of secure contexts there is no way to compute the hash, nor anything stored that could be damaged.
  if (!sha256 || !crypto.subtle || (await digest(body)) === sha256) return body;
  throw failure("checksum", `${name}: the SHA-256 differs from that of runtime.js`);
}

/**
 * As `file`; a wrong copy may sit in HTTP's cache, so the server itself is asked before giving up.
 * @param {string} url
 * @param {string | undefined} sha256
 * @param {boolean} fresh
 * @param {(here: number) => void} count
 */
async function checked(url, sha256, fresh, count) {
  if (fresh) return file(url, sha256, "reload", count);
  try {
    return await file(url, sha256, "default", count);
  } catch (/** @type {any} */ reason) {
    if (!["checksum", "html", "module"].includes(reason?.kind)) throw reason;
    return file(url, sha256, "reload", count);
  }
}

/**
 * Glue and compiled module.
 * @param {Built} built
 * @param {string} base address of the site
 * @param {boolean} fresh
 * @param {Meter} meter
 * @returns {Promise<Module>}
 */
export async function program({ glue, wasm, sha256 }, base, fresh, meter) {
  const [code, binary] = [glue, wasm].map((path) => new URL(path, base).href);
  const [body] = await Promise.all([
    checked(binary, sha256?.wasm, fresh, (here) => meter.count(binary, here)),
    checked(code, sha256?.glue, fresh, () => {}),
  ]).catch((reason) => {
    throw reason?.kind ? reason : failure("network", String(reason));
  });
  let compiled;
  /** @type {Module} */
  let module;
  try {
    [compiled, module] = await Promise.all([WebAssembly.compile(body), import(/* webpackIgnore: true */ /* @vite-ignore */ code)]);
  } catch (reason) {
    throw failure("unsupported", `${wasm}: ${reason}`);
  }
  await module.default({ module_or_path: compiled });
  return module;
}
