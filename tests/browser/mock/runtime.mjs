// A site whose loader is the real one and whose wasm module is a stand-in: for testing downloads without an engine. Files are
// as large as asked for; what the server does with them is up to the test.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../lib/server.mjs";
import { shape } from "../lib/images.mjs";

const sha = (body) => createHash("sha256").update(body).digest("hex");

/** The smallest wasm module, made longer by a section that nobody reads. */
function wasm(bytes) {
  const name = Buffer.from("\x01x", "latin1");
  const content = Buffer.concat([name, Buffer.alloc(bytes, "thisbut ")]);
  const size = [];
  for (let n = content.length; ; n >>>= 7) {
    size.push((n & 127) | (n > 127 ? 128 : 0));
    if (n < 128) break;
  }
  return Buffer.concat([Buffer.from([0, 97, 115, 109, 1, 0, 0, 0, 0, ...size]), content]);
}

/** The stand-in engine: stores files as web/src/fetch.rs does, and answers with the gallery in its order. */
const GLUE = `
export default async function init({ module_or_path }) {
  if (!(module_or_path instanceof WebAssembly.Module)) throw new Error("no module");
}
let items = [];
let base = "";
export async function load({ bundle, manifest }, progress) {
  const text = manifest ?? (await (await fetch(new URL("bundle.json", bundle), { cache: "no-store" })).text());
  let index;
  try { index = JSON.parse(text); } catch { throw { kind: "format", message: "bundle.json", mend: "" }; }
  const cache = await caches.open("thisbut-bundle-v1");
  await cache.put(new URL("bundle.json", bundle).href, new Response(text));
  progress({ stage: "files", loaded: 0, total: 1 });
  const hash = async (body) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", body))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const bodies = [];
  for (const file of [...index.weights, index.vocab, ...index.gallery.metadata]) {
    const url = new URL(file.path, bundle).href;
    let body = await (await cache.match(url))?.arrayBuffer();
    for (const mode of ["default", "reload"]) {
      if (body && (await hash(body)) === file.sha256) break;
      const answer = await fetch(new Request(url, { cache: mode }));
      if (!answer.ok) throw { kind: answer.status < 500 ? "missing" : "network", message: file.path, mend: "" };
      body = await answer.arrayBuffer();
    }
    if ((await hash(body)) !== file.sha256) throw { kind: "checksum", message: file.path, mend: "" };
    await cache.put(url, new Response(body));
    bodies.push(body);
  }
  const wanted = new Set([...index.weights, index.vocab, ...index.gallery.metadata, { path: "bundle.json" }].map(({ path }) => new URL(path, bundle).href));
  for (const { url } of await cache.keys()) if (url.startsWith(bundle) && !wanted.has(url)) await cache.delete(url);
  items = JSON.parse(new TextDecoder().decode(bodies.at(-1)));
  base = bundle;
  progress({ stage: "start", loaded: 1, total: 1 });
  return { count: items.length, device: "cpu", model: "stand-in", version: "0", upload: true, suggestions: [], bytes: 1, fetched: 1, memory: 1, timings: { fetch: 1, build: 1, selfTest: 1 } };
}
const item = (at) => ({ index: at, title: items[at].title, tags: [], image: new URL("thumbs/" + items[at].thumb, base).href });
export async function handle(question) {
  if (question.type === "encode") return { ms: 1, dropped: [] };
  if (question.type === "browse") return { items: items.map((_, at) => item(at)), total: items.length };
  return { hits: items.map((_, at) => ({ ...item(at), score: 1 - at / 100 })).slice(0, question.limit), timings: { compose: 1, search: 1 } };
}
`;

/**
 * @param {{weights?: number, binary?: number, index?: object}} [how] bytes of the weights and of the module; what else the index says
 */
export async function loaderSite({ weights = 3_000_000, binary = 400_000, index = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "thisbut-loader-"));
  const files = new Map();
  const put = (path, body) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), body);
    files.set(path, body);
    return { path: path.replace(/^bundle\//, ""), bytes: body.length, sha256: sha(body) };
  };
  // Compresses to about a half, as real files neither shrink to nothing nor stay as they are.
  let seed = 1;
  const random = Buffer.alloc(weights);
  for (let i = 0; i < weights; i++) random[i] = ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24) & 15;
  const titles = Array.from({ length: 12 }, (_, at) => `picture ${at}`);
  titles.forEach((_, at) => put(`bundle/thumbs/t.${at}.png`, shape("ring", at % 2 ? "blue" : "red", 32)));
  const meta = put("bundle/gallery/meta.json", Buffer.from(JSON.stringify(titles.map((title, at) => ({ title, thumb: `t.${at}.png` })))));
  const vocab = put("bundle/vocab.txt", Buffer.from("a b c"));
  const entry = put("bundle/weights.bin", random);
  const manifest = { weights: [entry], vocab, gallery: { chunks: [], metadata: [meta], thumbnails: "thumbs/" }, ...index };
  put("bundle/bundle.json", Buffer.from(JSON.stringify(manifest)));
  // As long as a real one at least: bundlers put small files into others.
  const [code, module] = [Buffer.from(`${GLUE}\n//${" ".repeat(8192)}\n`), wasm(binary)];
  put("runtime/cpu.js", code);
  put("runtime/cpu_bg.wasm", module);
  const built = { glue: "./runtime/cpu.js?v=1", wasm: "./runtime/cpu_bg.wasm?v=1", bytes: module.length, sha256: { glue: sha(code), wasm: sha(module) } };
  put("runtime/runtime.js", Buffer.from(`export const runtime = { cpu: ${JSON.stringify(built)} };`));
  const www = fileURLToPath(new URL("../../../www", import.meta.url));
  const site = await serve({ mounts: [["/bundle/", join(folder, "bundle")], ["/runtime/", join(folder, "runtime")], ["/", www]] });
  return { ...site, files, folder };
}
