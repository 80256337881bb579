// A dual encoder's towers in this project's wasm module and in onnxruntime-web (wasm, one thread), one JSON line a measurement.
//
//   npm ci && node browser_towers.mjs --models DIR --runtime DIR --preset FILE
//     [--seconds 5] [--chromium /usr/bin/chromium]
//
// --models: the graphs that towers_export.py wrote. --runtime: towers.js and towers_bg.wasm, made of web/examples/tower_module.rs.
// Both run in one tab and take turns, run by run, so that whatever else the machine does slows both.
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { open, peer } from "./page.mjs";

const { values: options } = parseArgs({
  options: {
    models: { type: "string" },
    runtime: { type: "string" },
    preset: { type: "string" },
    seconds: { type: "string", default: "5" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
  },
});
if (!options.models || !options.runtime || !options.preset) {
  console.error("browser_towers.mjs: give --models DIR, --runtime DIR and --preset FILE");
  process.exit(2);
}

// Runs in the page: what the tab needs for all graphs.
async function load(preset) {
  const ort = await import(/** @type {string} */ ("/ort/ort.wasm.min.mjs"));
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  const module = await import(/** @type {string} */ ("/runtime/towers.js"));
  await module.default({ module_or_path: fetch("/runtime/towers_bg.wasm") });
  Object.assign(globalThis, { bench: { ort, ours: new module.Towers(preset) } });
  return (await fetch("/models/shapes.json")).json();
}

// Runs in the page: prepares a graph and gives the times of both engines, which take turns.
async function measure({ graph, inputs, seconds }) {
  const { ort, ours } = globalThis.bench;
  const [[name, { type, dims, below }]] = Object.entries(inputs);
  const model = new Uint8Array(await (await fetch(`/models/${graph}.onnx`)).arrayBuffer());
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const size = dims.reduce((a, b) => a * b, 1);
  const pixels = Float32Array.from({ length: size }, (_, i) => (((i * 7) % 256) - 127) / 64);
  const ids = Int32Array.from({ length: size }, (_, i) => (i + 1 < size ? (i * 7919 + 1) % (below - 1) : below - 1));
  const data = type === "int64" ? BigInt64Array.from(ids, BigInt) : pixels;
  const feeds = { [name]: new ort.Tensor(type, data, dims) };
  const steps = [async () => (type === "int64" ? ours.text(ids) : ours.image(pixels)), () => session.run(feeds)];
  globalThis.bench.steps = steps;
  const times = steps.map(() => []);
  const start = performance.now();
  for (let run = -3; run < 10 || performance.now() - start < seconds * 1000; run++) {
    for (const [at, step] of steps.entries()) {
      const before = performance.now();
      await step();
      if (run >= 0) times[at].push(performance.now() - before);
    }
  }
  return times;
}

// Runs in the page: one engine alone.
async function repeat([at, runs]) {
  for (let run = 0; run < runs; run++) await globalThis.bench.steps[at]();
}

const { folder: ort, version } = await peer();
const browser = await open({ ort, models: options.models, runtime: options.runtime }, options.chromium);
try {
  const tab = await browser.tab();
  const shapes = await tab.evaluate(load, await readFile(options.preset, "utf8"));
  // Processor time of the tab's main thread, on which both engines run.
  const metrics = await tab.context().newCDPSession(tab);
  await metrics.send("Performance.enable", { timeDomain: "threadTicks" });
  const busy = async () => {
    const all = (await metrics.send("Performance.getMetrics")).metrics;
    return 1000 * (all.find((metric) => metric.name === "TaskDuration")?.value ?? NaN);
  };
  const round = (x) => Math.round(x * 1000) / 1000;
  for (const [graph, inputs] of Object.entries(shapes)) {
    const times = await tab.evaluate(measure, { graph, inputs, seconds: Number(options.seconds) });
    for (const [at, engine] of ["thisbut wasm", `onnxruntime-web ${version}`].entries()) {
      const sorted = times[at].sort((a, b) => a - b);
      const median = sorted[sorted.length >> 1];
      const runs = Math.max(3, Math.round((1000 * Number(options.seconds)) / 4 / median));
      const before = await busy();
      await tab.evaluate(repeat, [at, runs]);
      const cpu_ms = round(((await busy()) - before) / runs);
      const shape = Object.values(inputs)[0].dims.join("x");
      const of = { name: graph, peer: `${engine}, Chromium ${browser.version}`, threads: 1, shape, runs: sorted.length };
      const ends = { min_ms: round(sorted[0]), max_ms: round(sorted.at(-1)) };
      console.log(JSON.stringify({ ...of, median_ms: round(median), ...ends, cpu_ms, load: round(loadavg()[0]) }));
    }
  }
} finally {
  await browser.close();
}
