// A stand-in for the engine that speaks its protocol: for looking at the page and for testing it without a model.
// Never part of the site. The last word of a query may steer it: "slowly", "crash", "dead", "refuse".

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const mode = new URL(self.location.href).searchParams.get("mode");
let items = [];
let damaged = 0;
let setup = {};
/** The visitor's own pictures. */
let own = [];

async function load({ id, bundle, device }) {
  if (mode === "silent") await sleep(1e9);
  if (mode === "version") throw { kind: "version", message: "bundle.json has format version 9, this build reads 1", mend: "reload" };
  if (mode === "checksum") throw { kind: "checksum", message: "weights.0123456789abcdef.safetensors: the SHA-256 differs", mend: "fetch it again" };
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
  if (mode === "many") items = Array.from({ length: 5200 }, (_, index) => ({ ...items[index % items.length], index, title: `${items[index % items.length].title} ${index}` }));
  const timings = { runtime: 210, fetch: 340, build: 60, selfTest: 70, total: 640 };
  return { count: items.length, device, model: "mock", upload, words: mode !== "pictures", why: mode !== "pictures", rows: "mock", webgpu: mode === "nomodule" ? 0 : 3_750_000, bytes: total, suggestions: setup.suggestions, facets: setup.facets, timings };
}

/** Whether this has happened before; from now on it has. */
async function used(name) {
  const cache = await caches.open("mock");
  const before = await cache.match(name);
  await cache.put(name, new Response("yes"));
  return Boolean(before);
}

const words = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

function search({ key, chosen, text, limit, others = [], without = [], balance = 0.5, only = [], scope = "both" }) {
  const base = key?.startsWith("item:") ? items[Number(key.slice(5))] : null;
  const second = others.flatMap(({ chosen }) => (chosen === null ? [] : words(items[chosen].title)));
  const want = new Set([...(base ? words(base.title) : key ? words(setup.upload) : []), ...second, ...(balance > 0 ? words(text) : [])]);
  const all = [...items, ...own].filter((item) => scope === "both" || Boolean(item.own) === (scope === "own"));
  const scored = all
    .filter((item) => item.index !== chosen && only.every((word) => words(item.title).includes(word)))
    .map((item) => {
      const own = [...words(item.title), ...item.tags];
      const hits = own.filter((word) => want.has(word)).length;
      const unwanted = own.filter((word) => without.flatMap(words).includes(word)).length;
      return { ...item, score: 0.3 + 0.6 * (hits / (hits + 2)) + ((item.index * 7919) % 97) / 4000 - unwanted };
    });
  return scored.sort((a, b) => b.score - a.score).slice(0, limit);
}

/** The hottest cell wanders with the word; the words' weights grow to the end. */
function explain({ text, phrases }) {
  const [rows, cols] = [4, 4];
  const peak = (at) => Array.from({ length: rows * cols }, (_, cell) => (cell === at ? 0.7 : 0.02));
  const said = text.split(/\s+/).filter(Boolean);
  const all = (said.length * (said.length + 1)) / 2;
  const part = (text, at, share) => ({ text: text.toLowerCase(), span: { start: 0, end: text.length }, share, grid: peak(at), place: at ? "bottom-right" : "top-left" });
  const counted = said.map((word, at) => part(word, at ? rows * cols - 1 : 0, (at + 1) / all));
  return { rows, cols, frame: { x: 0, y: 0, width: 1, height: 1 }, grid: peak(1), place: "top", words: counted, phrases: phrases.map((one) => part(one, 0, 0.5)) };
}

/** A picture that is no picture is refused, as by the engine. */
async function indexed({ blob, name }) {
  const bitmap = await createImageBitmap(blob).catch(() => {
    throw { kind: "image", message: "unreadable", mend: "", key: "image.type", values: { name }, detail: "" };
  });
  return { row: new Uint8Array(8), thumb: blob, width: bitmap.width, height: bitmap.height };
}

async function answer(data) {
  if (data.type === "load") return load(data);
  if (data.type === "encode") return await sleep(30), { ms: 30, dropped: [] };
  if (data.type === "refer" && mode === "damaged" && !damaged++) throw { kind: "reference", message: "references/r.bin: the SHA-256 differs", mend: "" };
  if (data.type === "refer") return await sleep(30), { ms: 30, dropped: [] };
  if (data.type === "index") return await sleep(20), indexed(data);
  if (data.type === "add") own.push(...data.items.map((item, at) => ({ ...item, own: true, tags: [], index: items.length + own.length + at })));
  if (data.type === "forget") own = [];
  if (["add", "forget"].includes(data.type)) return { count: items.length + own.length, own: own.length };
  if (data.type === "measure") return { ms: 50 };
  if (data.type === "explain" && data.text.includes("silent")) throw { kind: "device", message: "no answer", mend: "try again" };
  if (data.type === "explain") return await sleep(20), explain(data);
  if (data.type === "browse") {
    if (mode === "late") await sleep(1000);
    const stride = Math.max(1, Math.round(items.length * 0.618)) | 1;
    return { items: Array.from({ length: Math.min(data.limit, items.length) }, (_, i) => items[((data.offset + i) * stride) % items.length]), total: items.length };
  }
  if (data.text.endsWith("dead") && !(await used("/dead"))) return sleep(1e9);
  if (data.text.endsWith("refuse")) throw { kind: "query", message: "refused", mend: "say something else" };
  if (data.text.endsWith("crash") && !data.text.includes("twice")) {
    if (!(await used("/crashed"))) {
      self.postMessage({ event: "fatal", error: { kind: "runtime", message: "panicked", mend: "" } });
      return sleep(1e9);
    }
  }
  await sleep(data.text.endsWith("slowly") ? 900 : 40);
  return { hits: search(data), timings: { compose: 48, search: 2.1 }, cut: data.text.length > 160, far: data.text.endsWith("unknown") };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ok: true, value: await answer(data) });
  } catch (error) {
    self.postMessage({ id: data.id, ok: false, error: error.kind ? error : { kind: "runtime", message: String(error), mend: "" } });
  }
};
