// A stand-in for the engine that speaks its protocol over the emoji pictures: for looking at the page without a
// model. Never part of the site.

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const query = new URLSearchParams(self.location.search);
let items = [];

const people = /woman|man|person|girl|boy|baby/;

async function load({ id, bundle, device }) {
  const mode = new URL(bundle).searchParams.get("mode") ?? query.get("mode");
  const total = 14_800_000;
  if (mode === "version") throw { kind: "version", message: "bundle.json has format version 9, this build reads 1", mend: "reload" };
  for (let loaded = 0; loaded < total; loaded += 740_000) {
    self.postMessage({ event: "progress", id, stage: "weights", loaded, total });
    await sleep(mode === "slow" ? 400 : 15);
    if (mode === "slow" && loaded > 6_000_000) await sleep(60_000);
  }
  items = await (await fetch(new URL("items.json", bundle))).json();
  return {
    count: items.length,
    device: device === "webgpu" ? "webgpu" : "cpu",
    model: "web-s, Q8",
    bytes: total,
    suggestions: [
      "with a different hairstyle",
      { text: "but a man", when: ["woman", "girl"] },
      { text: "but a woman", when: ["man", "boy"] },
      { text: "with darker skin", when: ["woman", "man", "person"] },
      { text: "with red hair", when: ["woman", "man", "person"] },
      { text: "as a firefighter", when: ["woman", "man", "person"] },
      { text: "with heart eyes", when: ["face", "cat"] },
      { text: "crying", when: ["face", "cat"] },
      "in blue",
      "smaller",
      "the same, but happy",
      "without the hat",
    ],
    timings: { runtime: 210, load: 340, selfTest: 70, total: 640 },
  };
}

const words = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

function search({ key, exclude, text, limit }) {
  const base = key?.startsWith("item:") ? items[Number(key.slice(5))] : null;
  const want = new Set([...(base ? words(base.title) : key ? ["woman", "judge"] : []), ...words(text)]);
  const scored = items
    .filter((item) => item.index !== exclude)
    .map((item) => {
      const own = [...words(item.title), ...item.tags];
      const hits = own.filter((word) => want.has(word)).length;
      return { ...item, score: 0.3 + 0.6 * (hits / (hits + 2)) + ((item.index * 7919) % 97) / 4000 };
    });
  return scored.sort((a, b) => b.score - a.score).slice(0, limit);
}

async function answer(data) {
  if (data.type === "load") return load(data);
  if (data.type === "encode") return await sleep(60), { ms: 60, dropped: [] };
  if (data.type === "measure") return { ms: 50 };
  if (data.type === "browse") {
    const spread = items.filter((item) => people.test(item.title) || item.index % 5 === 0);
    const start = (data.offset * 7) % spread.length;
    return { items: Array.from({ length: data.limit }, (_, i) => spread[(start + i * 37) % spread.length]), total: items.length };
  }
  await sleep(90);
  return { hits: search(data), timings: { compose: 48, search: 2.1 } };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ok: true, value: await answer(data) });
  } catch (error) {
    self.postMessage({ id: data.id, ok: false, error });
  }
};
