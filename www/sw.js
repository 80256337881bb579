// Makes the page open offline on the second visit. Code is asked from the network first and kept for when there is
// none; pictures of the gallery are content-hashed and kept for good. Weights and gallery chunks are not touched
// here: the worker stores and checks them itself (web/src/load.rs).

const SHELL = "thisbut-shell-v1";
const PICTURES = "thisbut-pictures-v1";
const scope = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const FIRST = ["./", "page.css", "page.js", "this-but.js", "worker.js", "favicon.svg"];

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

/** @param {FetchEvent} event */
async function shell(event) {
  const { request } = event;
  const cache = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.status === 200) event.waitUntil(store(cache, request, answer.clone()).catch(() => {}));
    return answer;
  } catch (reason) {
    const kept = (await cache.match(request)) ?? (request.mode === "navigate" ? await cache.match("./") : undefined);
    if (kept) return kept;
    throw reason;
  }
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
  event.waitUntil(Promise.allSettled((event.data?.keep ?? []).map(keep)));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (PICTURE.test(local(request.url))) event.respondWith(pictures(request));
  else if (!local(request.url).startsWith("bundle/")) event.respondWith(shell(event));
});
