// A stand-in for the engine that speaks its protocol: for looking at the page and for testing it without a model.
// Never part of the site. The last word of a query may steer it: "slowly", "crash", "refuse".

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const mode = new URL(self.location.href).searchParams.get("mode");
let items = [];
let damaged = 0;
let setup = {};

async function load({ id, bundle, device }) {
  if (mode === "silent") await sleep(1e9);
  if (mode === "version") throw { kind: "version", message: "bundle.json has format version 9, this build reads 1", mend: "reload" };
  if (mode === "nomodule" && device === "webgpu") throw { kind: "device", message: "no module", mend: "use the CPU" };
  if (mode === "nogpu" && device === "webgpu") throw { kind: "device", message: "no adapter", mend: "use the CPU" };
  const total = 14_800_000;
  const upload = !["gallery", "damaged"].includes(mode);
  self.postMessage({ event: "progress", id, stage: "weights", loaded: 0, total, upload });
  for (let loaded = 0; loaded < total; loaded += 740_000) {
    self.postMessage({ event: "progress", id, stage: "weights", loaded, total });
    await sleep(mode === "slow" ? 400 : 5);
    if (mode === "slow" && loaded > 6_000_000) await sleep(60_000);
  }
  const answer = await fetch(new URL("items.json", bundle));
  if (!answer.ok) throw { kind: "missing", message: `items.json: ${answer.status}`, mend: "publish it" };
  setup = await answer.json();
  items = setup.items;
  const timings = { runtime: 210, fetch: 340, build: 60, selfTest: 70, total: 640 };
  return { count: items.length, device, model: "mock", upload, webgpu: mode !== "nomodule", bytes: total, suggestions: setup.suggestions, timings };
}

const words = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

function search({ key, chosen, text, limit }) {
  const base = key?.startsWith("item:") ? items[Number(key.slice(5))] : null;
  const want = new Set([...(base ? words(base.title) : key ? words(setup.upload) : []), ...words(text)]);
  const scored = items
    .filter((item) => item.index !== chosen)
    .map((item) => {
      const own = [...words(item.title), ...item.tags];
      const hits = own.filter((word) => want.has(word)).length;
      return { ...item, score: 0.3 + 0.6 * (hits / (hits + 2)) + ((item.index * 7919) % 97) / 4000 };
    });
  return scored.sort((a, b) => b.score - a.score).slice(0, limit);
}

async function answer(data) {
  if (data.type === "load") return load(data);
  if (data.type === "encode") return await sleep(30), { ms: 30, dropped: [] };
  if (data.type === "refer" && mode === "damaged" && !damaged++) throw { kind: "reference", message: "references/r.bin: the SHA-256 differs", mend: "" };
  if (data.type === "refer") return await sleep(30), { ms: 30, dropped: [] };
  if (data.type === "measure") return { ms: 50 };
  if (data.type === "browse") {
    const stride = Math.max(1, Math.round(items.length * 0.618)) | 1;
    return { items: Array.from({ length: Math.min(data.limit, items.length) }, (_, i) => items[((data.offset + i) * stride) % items.length]), total: items.length };
  }
  if (data.text.endsWith("refuse")) throw { kind: "query", message: "refused", mend: "say something else" };
  if (data.text.endsWith("crash") && !data.text.includes("twice")) {
    const crashed = await caches.open("mock").then((cache) => cache.match("/crashed"));
    if (!crashed) {
      await caches.open("mock").then((cache) => cache.put("/crashed", new Response("yes")));
      self.postMessage({ event: "fatal", error: { kind: "runtime", message: "panicked", mend: "" } });
      return sleep(1e9);
    }
  }
  await sleep(data.text.endsWith("slowly") ? 900 : 40);
  return { hits: search(data), timings: { compose: 48, search: 2.1 } };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ok: true, value: await answer(data) });
  } catch (error) {
    self.postMessage({ id: data.id, ok: false, error: error.kind ? error : { kind: "runtime", message: String(error), mend: "" } });
  }
};
