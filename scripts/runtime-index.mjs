// Writes runtime.js: address, size and hash of each wasm module and its glue, for the worker's loader. The query in an address changes
// with the content, so that a browser never mixes two builds.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const hash = (/** @type {Buffer} */ body) => createHash("sha256").update(body).digest("hex");
const [folder] = process.argv.slice(2);
const entries = ["cpu", "webgpu"].flatMap((name) => {
  const [glue, wasm] = [join(folder, `${name}.js`), join(folder, `${name}_bg.wasm`)];
  if (!existsSync(glue) || !existsSync(wasm)) return [];
  const [code, binary] = [readFileSync(glue), readFileSync(wasm)];
  const sha256 = { glue: hash(code), wasm: hash(binary) };
  const version = hash(Buffer.concat([binary, code])).slice(0, 12);
  const entry = { glue: `./runtime/${name}.js?v=${version}`, wasm: `./runtime/${name}_bg.wasm?v=${version}`, bytes: binary.length, sha256 };
  return [`  ${name}: ${JSON.stringify(entry)},`];
});
if (!entries.length) throw new Error(`${folder}: no wasm module; run scripts/build-web`);
writeFileSync(join(folder, "runtime.js"), `// Written by scripts/build-web.\nexport const runtime = {\n${entries.join("\n")}\n};\n`);
