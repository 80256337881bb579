// Downloads that survive: a file that breaks off goes on where it stopped, a silent server is given up on, and two tabs
// that want the same file fetch it once. The engine's own `fetch` is led through here for the files of a bundle; it still
// checks and stores them itself.

import { failure } from "./failure.js";
import { CACHE, Keeper, beginning, forget, storage } from "./parts.js";

/** @import { Meter } from "./meter.js" */

/** ms without a byte after which a connection counts as lost. */
const SILENCE = 15_000;
/** Times that a broken file is asked for again. */
const TRIES = 3;

const plain = self.fetch.bind(self);

/**
 * `promise`, unless nothing comes for a while.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {() => void} [late]
 * @returns {Promise<T>}
 */
export function within(promise, ms, late = () => {}) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late();
      reject(failure("network", `the server has been silent for ${ms / 1000} s`));
    }, ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * A request whose answer has to begin, and go on, in time.
 * @param {string} url
 * @param {RequestInit} options
 */
async function request(url, options) {
  const stop = new AbortController();
  const answer = await within(plain(url, { ...options, signal: stop.signal }), SILENCE, () => stop.abort());
  const reader = answer.body?.getReader();
  const next = () => (reader ? within(reader.read(), SILENCE, () => stop.abort()) : Promise.resolve({ done: true, value: undefined }));
  return { answer, next, stop };
}

/**
 * The bytes of a file, as they come. Goes on after a break; ends early only with an error.
 * @param {{url: string, bytes: number, cache: ?Cache, mode: RequestCache}} file
 * @param {Blob} start what is here
 */
async function* bytesOf({ url, bytes, cache, mode }, start) {
  let have = start.size;
  if (have) yield new Uint8Array(await start.arrayBuffer());
  const keeper = new Keeper(cache, url, have);
  for (let tries = 0; have < bytes; tries++) {
    try {
      const ask = await request(url, have ? { cache: mode, headers: { range: `bytes=${have}-` } } : { cache: mode });
      // A server without ranges sends everything again: what is here already is passed over.
      let skip = ask.answer.status === 206 ? 0 : have;
      if (!ask.answer.ok) return void (yield ask.answer);
      for (;;) {
        const { done, value } = await ask.next();
        if (done || !value) break;
        const fresh = skip ? value.subarray(Math.min(skip, value.byteLength)) : value;
        skip -= value.byteLength - fresh.byteLength;
        if (!fresh.byteLength) continue;
        have += fresh.byteLength;
        await keeper.add(fresh);
        yield fresh;
        if (have > bytes) ask.stop.abort();
        if (have > bytes) return;
      }
      break;
    } catch (/** @type {any} */ reason) {
      if (tries + 1 >= TRIES) throw reason?.kind ? reason : failure("network", `${url}: ${reason}`);
      await new Promise((done) => setTimeout(done, 300 * 2 ** tries));
    }
  }
  await keeper.flush();
}

/**
 * One at a time for a file, over all tabs. A tab that holds it and stands still is passed by.
 * @template T
 * @param {string} url
 * @param {() => Promise<boolean>} moving whether the other tab's download has grown
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function alone(url, moving, work) {
  if (!navigator.locks) return work();
  const wait = new AbortController();
  let idle = 0;
  const watch = setInterval(async () => {
    idle = (await moving()) ? 0 : idle + 1;
    if (idle * 1000 > SILENCE) wait.abort();
  }, 1000);
  try {
    return await navigator.locks.request(`thisbut ${url}`, { signal: wait.signal }, () => {
      clearInterval(watch);
      return work();
    });
  } catch (/** @type {any} */ reason) {
    if (reason?.name !== "AbortError" || !wait.signal.aborted) throw reason;
    return work();
  } finally {
    clearInterval(watch);
  }
}

/**
 * @param {{url: string, bytes: number, mode: RequestCache}} wanted
 * @param {Meter} meter
 * @returns {Promise<Response>}
 */
async function download({ url, bytes, mode }, meter) {
  const cache = await storage();
  if (mode === "reload") await forget(cache, url);
  let seen = 0;
  const moving = async () => {
    const { size } = await beginning(cache, url);
    const grown = size > seen;
    seen = size;
    meter.count(url, size);
    return grown;
  };
  /** @type {(response: Response) => void} */
  let give = () => {};
  /** @type {(reason: unknown) => void} */
  let refuse = () => {};
  const answer = new Promise((resolve, reject) => ([give, refuse] = [resolve, reject]));
  const run = async () => {
    // Another tab may have brought it meanwhile. The engine has let go of a copy that is damaged.
    const whole = mode === "reload" ? undefined : await cache?.match(url);
    if (whole) return meter.count(url, bytes), give(whole);
    const source = bytesOf({ url, bytes, cache, mode }, await beginning(cache, url));
    let have = 0;
    let first = await source.next();
    // No file but an answer such as 404: the engine says what it means.
    if (first.value instanceof Response) return give(first.value);
    await new Promise((over) => {
      const stream = new ReadableStream({
        async pull(controller) {
          try {
            const { done, value } = first ?? (await source.next());
            first = /** @type {any} */ (null);
            if (done || !value) return controller.close(), over(null);
            if (value instanceof Response) throw failure("network", `${url}: the server answers ${value.status}`);
            have += value.byteLength;
            meter.count(url, have);
            controller.enqueue(value);
          } catch (reason) {
            controller.error(reason);
            over(null);
          }
        },
        cancel: () => over(null),
      });
      give(new Response(stream));
    });
  };
  // The lock is held until the last byte is read.
  alone(url, moving, run).catch(refuse);
  return /** @type {Promise<Response>} */ (answer);
}

/**
 * Leads `fetch` for the files that a bundle's index lists through here; everything else only has to answer in time.
 * @param {Map<string, number>} files address → unpacked bytes
 * @param {Meter} meter
 */
export function steady(files, meter) {
  self.fetch = async (what, options) => {
    const asked = new Request(what, options);
    const bytes = asked.method === "GET" ? files.get(asked.url) : undefined;
    if (bytes === undefined) return within(plain(asked), SILENCE);
    return download({ url: asked.url, bytes, mode: asked.cache }, meter);
  };
}

/** Which of these addresses are stored whole. @param {string[]} urls */
export async function stored(urls) {
  if (!self.caches || !(await caches.has(CACHE).catch(() => false))) return new Set();
  const keys = (await (await storage())?.keys()) ?? [];
  const all = new Set(keys.map(({ url }) => url));
  return new Set(urls.filter((url) => all.has(url)));
}
