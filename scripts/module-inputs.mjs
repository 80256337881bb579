// Prints one hash over all that the wasm modules are made of, so that a module is built again only when something changed. Cargo
// itself would build both again whenever they take turns, for both features write the same file.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const INPUTS = [".cargo", "Cargo.lock", "Cargo.toml", "model", "rust-toolchain.toml", "scripts/build-web", "web"];

/** @param {string} path @returns {string[]} */
const walk = (path) =>
  statSync(path).isDirectory() ? readdirSync(path).sort().flatMap((name) => walk(join(path, name))) : [path];

const hash = createHash("sha256").update(execFileSync("rustc", ["-vV"])).update(process.env.RUSTFLAGS ?? "");
for (const path of INPUTS.flatMap(walk)) hash.update(`\0${path}\0`).update(readFileSync(path));
console.log(hash.digest("hex"));
