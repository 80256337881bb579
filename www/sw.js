// Makes the page open offline on the second visit. Code is asked from the network first and kept for when there is none, or
// none that answers; code with a hash in its address and pictures of the gallery are kept for good. Weights and gallery
// chunks are not touched here: the worker stores and checks them itself (loader/, web/src/fetch.rs).

const SHELL = "thisbut-shell-v2";
const PICTURES = "thisbut-pictures-v1";
const scope = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const FIRST = ["./", "page.css", "page.js", "this-but.js", "worker.js", "favicon.svg"];
/** ms that the network has where a kept answer is there, and for how long one that was late is not waited for again. */
const PATIENCE = 3000;
const GRUDGE = 30_000;

/** When the network was late last. */
let late = -GRUDGE;

scope.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(SHELL);
      await Promise.allSettled(FIRST.map((path) => cache.add(path)));
      await scope.skipWaiting();
    })(),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => /^thisbut-(shell|pictures)-/.test(name) && ![SHELL, PICTURES].includes(name));
      await Promise.all(old.map((name) => caches.delete(name)));
      await scope.clients.claim();
    })(),
  );
});

/** @param {Request} request */
async function pictures(request) {
  const cache = await caches.open(PICTURES);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.status === 200) cache.put(request, answer.clone()).catch(() => {});
  return answer;
}

/**
 * Keeps an answer, and lets go of the same file under an older `?v=`.
 * @param {Cache} cache
 * @param {Request} request
 * @param {Response} answer
 */
async function store(cache, request, answer) {
  await cache.put(request, answer);
  const { pathname, search } = new URL(request.url);
  if (!search) return;
  const others = (await cache.keys()).filter(({ url }) => new URL(url).pathname === pathname && new URL(url).search !== search);
  await Promise.all(others.map((other) => cache.delete(other)));
}

/** Whether an address names its content: what is kept is what the server would send. @param {string} url */
const hashed = (url) => /^\?v=[0-9a-f]+$/.test(new URL(url).search);

/** The kept answer to a request, and for any page of this site the start page. @param {Cache} cache @param {Request} request */
const keptFor = async (cache, request) => (await cache.match(request)) ?? (request.mode === "navigate" ? cache.match("./") : undefined);

/** @param {FetchEvent} event */
async function shell(event) {
  const { request } = event;
  const cache = await caches.open(SHELL);
  const kept = await keptFor(cache, request);
  // A damaged copy is asked for anew with this mode.
  const anew = request.cache === "reload";
  if (kept && hashed(request.url) && !anew) return kept;
  const network = fetch(request).then((answer) => {
    late = -GRUDGE;
    if (answer.status === 200) event.waitUntil(store(cache, request, answer.clone()).catch(() => {}));
    return answer;
  });
  if (!kept || anew) return network;
  const wait = performance.now() - late < GRUDGE ? 0 : PATIENCE;
  /** @type {Promise<Response>} */
  const patience = new Promise((done) =>
    setTimeout(() => {
      late = performance.now();
      done(kept);
    }, wait),
  );
  return Promise.race([network.catch(() => kept), patience]);
}

const PICTURE = /^bundle\/.*\.(webp|png|jpe?g|avif)$/;
const local = (/** @type {string} */ url) => new URL(url).pathname.slice(new URL(scope.registration.scope).pathname.length);

scope.addEventListener("message", (event) => {
  const keep = async (/** @type {string} */ url) => {
    const request = new Request(url);
    if (PICTURE.test(local(url))) return pictures(request);
    if (local(url).startsWith("bundle/")) return;
    const cache = await caches.open(SHELL);
    if (await cache.match(request)) return;
    const answer = await fetch(request);
    if (answer.status === 200) await store(cache, request, answer);
  };
  const all = Promise.allSettled((event.data?.keep ?? []).map(keep));
  event.waitUntil(all.then((done) => event.ports[0]?.postMessage(done.filter(({ status }) => status === "fulfilled").length)));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (PICTURE.test(local(request.url))) event.respondWith(pictures(request));
  else if (!local(request.url).startsWith("bundle/")) event.respondWith(shell(event));
});
