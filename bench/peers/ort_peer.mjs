// onnxruntime-web (wasm) in headless Chromium on the graphs that `ort_export.py` wrote. One JSON line a measurement.
//
//   npm ci && node bench/peers/ort_peer.mjs --models DIR [--threads 1,2] [--seconds 4] [--chromium /usr/bin/chromium]
//
// The page is cross-origin isolated, so that more than one thread is possible.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options } = parseArgs({
  options: {
    models: { type: "string" },
    threads: { type: "string", default: "1,2" },
    seconds: { type: "string", default: "4" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
  },
});
if (!options.models) {
  console.error("ort_peer.mjs: --models DIR is missing: the folder that ort_export.py wrote");
  process.exit(2);
}

const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
const types = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const page = "<!doctype html><title>onnxruntime-web</title>";

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://localhost").pathname);
  const headers = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Type": types[extname(path)] ?? "application/octet-stream",
  };
  if (path === "/") {
    response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(page);
    return;
  }
  const [, folder, ...rest] = path.split("/");
  const root = { ort: runtime, models: options.models }[folder];
  try {
    const body = await readFile(join(root, ...rest));
    response.writeHead(200, headers).end(body);
  } catch {
    response.writeHead(404, headers).end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${server.address().port}`;

// Runs in the page.
async function measure({ graph, threads, seconds }) {
  const ort = await import("/ort/ort.wasm.min.mjs");
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

const { version } = JSON.parse(await readFile(join(runtime, "..", "package.json"), "utf8"));
const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});
try {
  for (const threads of options.threads.split(",").map(Number)) {
    for (const graph of ["encode", "fuse"]) {
      const tab = await browser.newPage(); // a fresh page: the runtime takes its thread count once
      await tab.goto(origin);
      const result = await tab.evaluate(measure, { graph, threads, seconds: Number(options.seconds) });
      console.log(JSON.stringify({ name: graph, peer: `onnxruntime-web ${version}, Chromium ${browser.version()}`, threads, ...result }));
      await tab.close();
    }
  }
} finally {
  await browser.close();
  server.close();
}
