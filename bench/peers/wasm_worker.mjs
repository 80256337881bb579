// The project's own wasm module in a worker, timed from inside it. Started by browser.mjs.
// @ts-expect-error: the page has this address
import init, { load, handle } from "/runtime/cpu.js";

const side = 256;
const rgba = Uint8Array.from({ length: side * side * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 7 + (i >> 8) * 13) % 256));

async function repeat(seconds, step) {
  for (let i = 0; i < 5; i++) await step();
  const times = [];
  const start = performance.now();
  while (times.length < 10 || performance.now() - start < seconds * 1000) times.push(await step());
  return times;
}

self.onmessage = async ({ data: { seconds, text } }) => {
  try {
    await init();
    const began = performance.now();
    const info = await load({ bundle: new URL("/bundle/", location.href).href, device: "cpu", fresh: true }, () => {});
    const load_ms = performance.now() - began;
    const encode = await repeat(seconds, async () => (await handle({ type: "encode", key: "a", width: side, height: side, rgba })).ms);
    const queries = [];
    await repeat(seconds, async () => {
      const { timings } = await handle({ type: "query", key: "a", exclude: null, text, limit: 50 });
      queries.push(timings);
    });
    const warm = queries.slice(5);
    self.postMessage({
      load_ms,
      count: info.count,
      encode,
      fuse12: warm.map((t) => t.compose),
      scan: warm.map((t) => t.search),
    });
  } catch (error) {
    self.postMessage({ error: error.message ?? String(error) });
  }
};
