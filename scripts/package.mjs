// Builds the npm package: node scripts/package.mjs RUNTIME FOLDER
// Modules as they are, the worker and everything that it loads in one file, the element in one file with its integrity hash,
// types, and a description for editors.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const from = createRequire(join(root, "tests/browser/package.json"));

/**
 * For the element's one file: styles without comments and indentation, and what lies beside the file found from there.
 * @param {any} esbuild
 */
export const whole = (esbuild) => ({
  name: "whole",
  setup(/** @type {any} */ build) {
    build.onResolve({ filter: /^\.\/(languages|later)\// }, (/** @type {{path: string}} */ { path }) =>
      path.endsWith("/en.js") ? undefined : { path: path.replace("./", "./element/"), external: true },
    );
    build.onLoad({ filter: /element\/element\.js$/ }, async (/** @type {{path: string}} */ { path }) => ({ contents: readFileSync(path, "utf8").replaceAll('new URL("../', 'new URL("./'), loader: "js" }));
    build.onLoad({ filter: /element\/styles\.js$/ }, async (/** @type {{path: string}} */ { path }) => {
      const [before, css, after] = readFileSync(path, "utf8").split("`");
      const { code } = await esbuild.transform(css, { loader: "css", minify: true, target: "chrome123" });
      return { contents: `${before}\`${code.trim().replaceAll("\\", "\\\\")}\`${after}`, loader: "js" };
    });
  },
});

/** The element in one file. @returns {Promise<Buffer>} */
export async function oneFile() {
  const esbuild = from("esbuild");
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(root, "www/package/whole.js")],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    write: false,
    plugins: [whole(esbuild)],
  });
  return Buffer.from(outputFiles[0].contents);
}

const sri = (/** @type {Buffer} */ body) => `sha384-${createHash("sha384").update(body).digest("base64")}`;

/** What the loader imports as runtime.js, with addresses that bundlers follow. @param {string} runtime */
async function modules(runtime) {
  const { runtime: built } = await import(pathToFileURL(join(runtime, "runtime.js")).href);
  const entries = Object.entries(built).map(([name, { bytes, sha256 }]) => {
    const url = (/** @type {string} */ file) => `new URL("./runtime/${file}", import.meta.url).href`;
    return `  ${name}: { glue: ${url(`${name}.js`)}, wasm: ${url(`${name}_bg.wasm`)}, bytes: ${bytes}, sha256: ${JSON.stringify(sha256)} },`;
  });
  return { names: Object.keys(built), text: `export const runtime = {\n${entries.join("\n")}\n};\n` };
}

/** The worker in one file; the modules' addresses stay in it as they are written. @param {string} text @param {string} to */
async function worker(text, to) {
  const esbuild = from("esbuild");
  const inline = {
    name: "runtime",
    setup(/** @type {any} */ build) {
      build.onResolve({ filter: /runtime\/runtime\.js$/ }, () => ({ path: "runtime", namespace: "runtime" }));
      build.onLoad({ filter: /.*/, namespace: "runtime" }, () => ({ contents: text, loader: "js" }));
    },
  };
  await esbuild.build({ entryPoints: [join(root, "www/worker.js")], bundle: true, format: "esm", target: "es2022", outfile: to, plugins: [inline] });
}

/** @param {string} runtime @param {string} folder */
async function build(runtime, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "runtime"), { recursive: true });
  const put = (/** @type {string} */ path, /** @type {string | Buffer} */ body) => writeFileSync(join(folder, path), body);
  cpSync(join(root, "www/element"), join(folder, "element"), { recursive: true });
  for (const file of ["index.js", "index.d.ts", "README.md"]) cpSync(join(root, "www/package", file), join(folder, file));
  for (const file of ["LICENSE-MIT", "LICENSE-APACHE"]) cpSync(join(root, file), join(folder, file));
  cpSync(join(root, "www/custom-elements.json"), join(folder, "custom-elements.json"));
  const { names, text } = await modules(runtime);
  for (const name of names) for (const file of [`${name}.js`, `${name}_bg.wasm`]) cpSync(join(runtime, file), join(folder, "runtime", file));
  if (existsSync(join(runtime, "snippets"))) cpSync(join(runtime, "snippets"), join(folder, "runtime/snippets"), { recursive: true });
  await worker(text, join(folder, "worker.js"));
  const one = await oneFile();
  put("this-but.min.js", one);
  put("integrity.json", `${JSON.stringify({ "this-but.min.js": sri(one) }, null, 2)}\n`);
  execFileSync(join(root, "tests/browser/node_modules/.bin/tsc"), ["-p", join(root, "www"), "--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", join(folder, "types")]);
  cpSync(join(root, "www/types.d.ts"), join(folder, "types/types.d.ts"));
  const version = /\[workspace\.package\][^[]*?version = "([^"]+)"/s.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))?.[1] ?? /^version = "([^"]+)"/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))?.[1];
  if (!version) throw new Error("Cargo.toml: no version");
  const about = {
    name: "thisbut",
    version,
    description: "<this-but>: search by “this, but …”, an image and words, in the page itself",
    type: "module",
    license: "MIT OR Apache-2.0",
    main: "./index.js",
    types: "./index.d.ts",
    customElements: "custom-elements.json",
    exports: {
      ".": { types: "./index.d.ts", default: "./index.js" },
      "./engine": { types: "./types/element/client.d.ts", default: "./element/client.js" },
      "./worker.js": "./worker.js",
      "./this-but.min.js": "./this-but.min.js",
      "./custom-elements.json": "./custom-elements.json",
      "./package.json": "./package.json",
    },
    sideEffects: ["./index.js", "./this-but.min.js", "./worker.js"],
    keywords: ["web-component", "custom-element", "image-search", "composed-image-retrieval", "webassembly"],
  };
  put("package.json", `${JSON.stringify(about, null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [runtime, folder] = process.argv.slice(2);
  await build(runtime, folder);
}
