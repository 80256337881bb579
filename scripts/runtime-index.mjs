// Writes runtime.js: address and size of each wasm module, for the worker's loader. The query in an address changes
// with the content, so that a browser never mixes two builds.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const entries = ["cpu", "webgpu"].flatMap((name) => {
  const [glue, wasm] = [join(folder, `${name}.js`), join(folder, `${name}_bg.wasm`)];
  if (!existsSync(glue) || !existsSync(wasm)) return [];
  const code = readFileSync(wasm);
  const hash = createHash("sha256").update(code).update(readFileSync(glue)).digest("hex").slice(0, 12);
  const entry = { glue: `./runtime/${name}.js?v=${hash}`, wasm: `./runtime/${name}_bg.wasm?v=${hash}`, bytes: code.length };
  return [`  ${name}: ${JSON.stringify(entry)},`];
});
if (!entries.length) throw new Error(`${folder}: no wasm module; run scripts/build-web`);
writeFileSync(join(folder, "runtime.js"), `// Written by scripts/build-web.\nexport const runtime = {\n${entries.join("\n")}\n};\n`);
