// A headless Chromium on a page of ours, with folders beside it.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const types = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const page = "<!doctype html><title>bench</title>";

/** onnxruntime-web's folder and version. */
export async function peer() {
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
  const { version } = JSON.parse(await readFile(join(folder, "..", "package.json"), "utf8"));
  return { folder, version };
}

/**
 * Opens a browser; `folders` are served under their names. The page is cross-origin isolated, so that onnxruntime-web may
 * use more threads than one, and clocks are fine.
 * @param {Record<string, string | undefined>} folders
 * @param {string} executablePath
 */
export async function open(folders, executablePath) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
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
    try {
      const body = await readFile(join(/** @type {string} */ (folders[folder]), ...rest));
      response.writeHead(200, headers).end(body);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(null)));
  const origin = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  const args = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
  const browser = await chromium.launch({ executablePath, args });
  return {
    version: browser.version(),
    async tab() {
      const tab = await browser.newPage();
      await tab.goto(origin);
      return tab;
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}
