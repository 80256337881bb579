// Makes the page open offline on the second visit. Code is asked from the network first and kept for when there is
// none; pictures of the gallery are content-hashed and kept for good. Weights and gallery chunks are not touched
// here: the worker stores and checks them itself (web/src/load.rs).

const SHELL = "thisbut-shell-v1";
const PICTURES = "thisbut-pictures-v1";
const FIRST = ["./", "page.css", "page.js", "this-but.js", "worker.js", "favicon.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(SHELL);
      await Promise.allSettled(FIRST.map((path) => cache.add(path)));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => /^thisbut-(shell|pictures)-/.test(name) && ![SHELL, PICTURES].includes(name));
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

async function pictures(request) {
  const cache = await caches.open(PICTURES);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.status === 200) cache.put(request, answer.clone()).catch(() => {});
  return answer;
}

async function shell(event) {
  const { request } = event;
  const cache = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.status === 200) event.waitUntil(cache.put(request, answer.clone()).catch(() => {}));
    return answer;
  } catch (reason) {
    const kept = (await cache.match(request)) ?? (request.mode === "navigate" ? await cache.match("./") : undefined);
    if (kept) return kept;
    throw reason;
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  const path = url.pathname.slice(new URL(registration.scope).pathname.length);
  if (path.startsWith("bundle/")) {
    if (/\.(webp|png|jpe?g|avif)$/.test(path)) event.respondWith(pictures(request));
    return;
  }
  event.respondWith(shell(event));
});
