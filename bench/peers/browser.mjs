// This project's wasm module and onnxruntime-web (wasm) in one headless Chromium, one JSON line a measurement.
//
//   npm ci && node browser.mjs --models DIR --runtime DIR --bundle DIR
//     [--threads 1] [--seconds 4] [--chromium /usr/bin/chromium]
//
// --models: the graphs that ort_export.py wrote. --runtime: the folder that scripts/build-web wrote. --bundle: a bundle
// of the same preset (`bench_bundle`). Without --runtime only onnxruntime-web runs, without --models only ours.
// onnxruntime-web may use more threads than one; our module uses one.
// Ours: `encode` is everything from RGBA pixels to the image tokens' keys (resize, encoder, key and value maps),
// `fuse12` tokenises the modifier (12 tokens) and runs both passes, `scan` ranks the gallery.
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { open, peer } from "./page.mjs";

const { values: options } = parseArgs({
  options: {
    models: { type: "string" },
    runtime: { type: "string" },
    bundle: { type: "string" },
    threads: { type: "string", default: "1" },
    seconds: { type: "string", default: "4" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
  },
});
if (!options.models && !(options.runtime && options.bundle)) {
  console.error("browser.mjs: nothing to time; give --models DIR, or --runtime DIR and --bundle DIR, or all three");
  process.exit(2);
}

// Runs in the page.
async function measure({ graph, threads, seconds }) {
  const ort = await import(/** @type {string} */ ("/ort/ort.wasm.min.mjs"));
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = threads;
  const shapes = await (await fetch("/models/shapes.json")).json();
  const model = new Uint8Array(await (await fetch(`/models/${graph}.onnx`)).arrayBuffer());
  const begun = performance.now();
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const load_ms = performance.now() - begun;
  const feeds = {};
  for (const [name, { type, dims, below }] of Object.entries(shapes[graph])) {
    const size = dims.reduce((a, b) => a * b, 1);
    const data =
      type === "int64"
        ? BigInt64Array.from({ length: size }, (_, i) => BigInt(below ? (i * 7919 + 1) % below : 1))
        : Float32Array.from({ length: size }, (_, i) => (((i * 7) % 256) - 127) / 128);
    feeds[name] = new ort.Tensor(type, data, dims);
  }
  for (let i = 0; i < 5; i++) await session.run(feeds);
  const times = [];
  const start = performance.now();
  while (times.length < 10 || performance.now() - start < seconds * 1000) {
    const before = performance.now();
    await session.run(feeds);
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  const round = (x) => Math.round(x * 1000) / 1000;
  return {
    shape: Object.values(shapes[graph]).map((x) => x.dims.join("x")).join(" "),
    median_ms: round(times[times.length >> 1]),
    min_ms: round(times[0]),
    max_ms: round(times.at(-1)),
    runs: times.length,
    load_ms: round(load_ms),
    isolated: crossOriginIsolated,
  };
}

// Runs in the page: our module, in a worker as visitors have it.
function measureOurs({ seconds, text }) {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/here/wasm_worker.mjs", { type: "module" });
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage({ seconds, text });
  });
}

const { folder: ort, version } = await peer();
const here = dirname(fileURLToPath(import.meta.url));
const folders = { ort, models: options.models, runtime: options.runtime, bundle: options.bundle, here };
const browser = await open(folders, options.chromium);
const round = (x) => Math.round(x * 1000) / 1000;
const seconds = Number(options.seconds);
const print = (record) => console.log(JSON.stringify({ ...record, load: round(loadavg()[0]) }));
try {
  if (options.runtime && options.bundle) {
    const manifest = JSON.parse(await readFile(join(options.bundle, "bundle.json"), "utf8"));
    const tab = await browser.tab();
    const text = manifest.suggestions[0];
    const result = await tab.evaluate(measureOurs, { seconds, text });
    const shapes = {
      encode: "256x256 RGBA to keys",
      fuse12: `${manifest.architecture}, "${text}"`,
      scan: `${result.count} images, N=${manifest.gallery.tokens} P=${manifest.gallery.width}`,
    };
    for (const [name, shape] of Object.entries(shapes)) {
      const times = result[name].sort((a, b) => a - b);
      print({
        name,
        peer: `thisbut wasm, Chromium ${browser.version}`,
        threads: 1,
        shape,
        median_ms: round(times[times.length >> 1]),
        min_ms: round(times[0]),
        max_ms: round(times.at(-1)),
        runs: times.length,
        load_ms: round(result.load_ms),
      });
    }
    await tab.close();
  }
  for (const threads of options.models ? options.threads.split(",").map(Number) : []) {
    for (const graph of ["encode", "fuse", "fuse12"]) {
      const tab = await browser.tab(); // a fresh page each time: onnxruntime takes its thread count once
      const result = await tab.evaluate(measure, { graph, threads, seconds });
      print({ name: graph, peer: `onnxruntime-web ${version}, Chromium ${browser.version}`, threads, ...result });
      await tab.close();
    }
  }
} finally {
  await browser.close();
}
