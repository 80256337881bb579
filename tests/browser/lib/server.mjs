// A static server for the site as a good host would serve it: right types, brotli or gzip, ranges, validators; and
// with faults on demand for the tests. No dependencies.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { extname, join, normalize, resolve, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { certificate } from "./certificate.mjs";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".gif": "image/gif",
  ".txt": "text/plain; charset=utf-8",
};
const SQUEEZE = new Set([".html", ".js", ".mjs", ".css", ".json", ".webmanifest", ".wasm", ".svg", ".txt", ".safetensors", ".bin"]);

/** What the page needs and nothing more: the strict policy that the README promises to work under. */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const squeezed = new Map();

function compress(body, encoding, quality) {
  const key = `${encoding}${quality}${createHash("sha1").update(body).digest("hex")}`;
  if (!squeezed.has(key)) {
    const packed = encoding === "br" ? brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }) : gzipSync(body);
    squeezed.set(key, packed);
  }
  return squeezed.get(key);
}

function inside(root, path) {
  const full = resolve(join(root, normalize(path)));
  return full === resolve(root) || full.startsWith(resolve(root) + sep) ? full : null;
}

async function find(mounts, path) {
  for (const [prefix, root] of mounts) {
    if (!path.startsWith(prefix)) continue;
    let full = inside(root, path.slice(prefix.length) || ".");
    if (!full) continue;
    let info = await stat(full).catch(() => null);
    if (info?.isDirectory()) {
      full = join(full, "index.html");
      info = await stat(full).catch(() => null);
    }
    if (info?.isFile()) return { full, info };
  }
  return null;
}

/**
 * What is wrong with an answer: another status, none at all, a web page in its place, or a stop after `cut` bytes, by a broken
 * connection or (`still`) by silence. `pace`: bytes a second.
 * @typedef {{status?: number, hang?: boolean, page?: boolean, cut?: number, still?: boolean, pace?: number}} Fault
 */

/**
 * Sends a body with a fault.
 * @param {import("node:http").ServerResponse} response
 * @param {Buffer} body
 * @param {Fault} fault
 */
async function limp(response, body, { cut = body.length, still = false, pace = Infinity }) {
  const step = Math.min(65536, pace / 20);
  for (let at = 0; at < cut && !response.destroyed; at += step) {
    response.write(body.subarray(at, Math.min(at + step, cut)));
    if (pace !== Infinity) await new Promise((done) => setTimeout(done, 50));
  }
  if (cut >= body.length) return response.end();
  await new Promise((done) => setTimeout(done, 200));
  if (!still) response.destroy();
}

/**
 * Starts serving.
 * @param {object} options
 * @param {[string, string][]} options.mounts URL prefix → folder, first match wins
 * @param {number} [options.port] 0 picks a free one
 * @param {string} [options.host]
 * @param {number} [options.quality] of brotli; 5 is quick, 9 is what a host would store
 * @param {boolean} [options.http2] as most hosts serve, over TLS with a certificate that nobody trusts
 * @param {(path: string, body: Buffer | null, request: import("node:http").IncomingMessage) => (Buffer | Fault | void)} [options.fault]
 */
export async function serve({ mounts, port = 0, host = "127.0.0.1", quality = 5, http2 = false, fault = null }) {
  const state = { fault, sent: /** @type {{path: string, bytes: number, from: number}[]} */ ([]), down: false };
  const handle = async (/** @type {any} */ request, /** @type {any} */ response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    if (state.down) return request.socket.destroy();
    try {
      const headers = {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": /[.-][0-9a-f]{12,}\./.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
        "access-control-allow-origin": "*",
        vary: "accept-encoding",
      };
      const found = await find(mounts, path);
      /** @type {any} */
      const changed = state.fault?.(path, found && (await readFile(found.full)), request);
      if (changed?.hang) return;
      if (changed?.status || (!found && !changed)) {
        response.writeHead(changed?.status ?? 404, { ...headers, "content-type": "text/plain", "cache-control": "no-store" });
        return response.end("not here\n");
      }
      if (changed?.page) {
        response.writeHead(200, { ...headers, "content-type": "text/html; charset=utf-8" });
        return response.end("<!doctype html><title>Nothing here</title>");
      }
      const kind = extname(path.endsWith("/") ? ".html" : path) || ".html";
      headers["content-type"] = TYPES[kind] ?? "application/octet-stream";
      headers["accept-ranges"] = "bytes";
      const body = Buffer.isBuffer(changed) ? changed : null;
      if (!body) {
        headers.etag = `"${found.info.size.toString(36)}-${Math.trunc(found.info.mtimeMs).toString(36)}"`;
        if (request.headers["if-none-match"] === headers.etag) {
          response.writeHead(304, headers);
          return response.end();
        }
      }
      const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "");
      const size = body?.length ?? found.info.size;
      if (range && (range[1] || range[2])) {
        const from = range[1] ? Number(range[1]) : Math.max(0, size - Number(range[2]));
        const to = range[1] && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
        if (from > to || from >= size) {
          response.writeHead(416, { ...headers, "content-range": `bytes */${size}` });
          return response.end();
        }
        response.writeHead(206, { ...headers, "content-range": `bytes ${from}-${to}/${size}`, "content-length": to - from + 1 });
        state.sent.push({ path, bytes: to - from + 1, from });
        if (changed?.cut || changed?.pace) return await limp(response, (await readFile(found.full)).subarray(from, to + 1), changed);
        return body ? response.end(body.subarray(from, to + 1)) : createReadStream(found.full, { start: from, end: to }).pipe(response);
      }
      let whole = body ?? (await readFile(found.full));
      const accepts = request.headers["accept-encoding"] ?? "";
      const encoding = !SQUEEZE.has(kind) || whole.length < 512 ? "" : /\bbr\b/.test(accepts) ? "br" : /\bgzip\b/.test(accepts) ? "gzip" : "";
      if (encoding) {
        whole = compress(whole, encoding, quality);
        headers["content-encoding"] = encoding;
      }
      response.writeHead(200, { ...headers, "content-length": whole.length });
      if (request.method === "HEAD") return response.end();
      state.sent.push({ path, bytes: whole.length, from: 0 });
      if (changed?.cut || changed?.pace) return await limp(response, whole, changed);
      response.end(whole);
    } catch (reason) {
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end(String(reason));
    }
  };
  const server = http2 ? createSecureServer({ ...(await certificate()), allowHTTP1: true }, handle) : createServer(handle);
  /** Sessions of HTTP/2, which a server does not end by itself. @type {Set<any>} */
  const sessions = new Set();
  server.on("session", (session) => sessions.add(session.once("close", () => sessions.delete(session))));
  await new Promise((ready, broken) => server.once("error", broken).listen(port, host, () => ready(null)));
  const address = `http${http2 ? "s" : ""}://${host === "0.0.0.0" ? "localhost" : host}:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`;
  return {
    address,
    state,
    close: () => new Promise((done) => (server.close(done), "closeAllConnections" in server && server.closeAllConnections(), sessions.forEach((session) => session.destroy()))),
  };
}
