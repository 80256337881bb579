// Puts the site together: node scripts/stage-site.mjs RUNTIME [FOLDER]
// With FOLDER, the page is copied as trunk would; without, this is trunk's last step and its folder has the page.
// A folder that is being served stays whole: every file appears at once, and runtime.js, which names the modules, is the last.

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [runtime, folder] = process.argv.slice(2);
const site = folder ?? process.env.TRUNK_STAGING_DIR;
if (!site) throw new Error("no folder to put the site into; use scripts/serve or trunk build");

/**
 * Puts a file in place at once, and leaves one that is the same alone.
 * @param {string} to
 * @param {Buffer | string} body
 */
function put(to, body) {
  if (existsSync(to) && readFileSync(to).equals(Buffer.from(body))) return;
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(`${to}.part`, body);
  renameSync(`${to}.part`, to);
}

/** @param {string} from @param {string} to */
function copy(from, to) {
  if (statSync(from).isDirectory()) for (const name of readdirSync(from)) copy(join(from, name), join(to, name));
  else put(to, readFileSync(from));
}

/** What `trunk build` does with www/index.html: copies what its links name, and leaves the links out. */
function page() {
  const LINK = /<link data-trunk rel="copy-(?:file|dir)" href="([^"]+)" \/>/g;
  const html = readFileSync("www/index.html", "utf8");
  for (const [, path] of html.matchAll(LINK)) copy(join("www", path), join(site, path));
  put(join(site, "index.html"), html.replace(LINK, ""));
}

if (folder) page();
const modules = readdirSync(runtime).filter((name) => name === "snippets" || /\.(js|wasm)$/.test(name));
for (const name of modules.filter((name) => name !== "runtime.js")) copy(join(runtime, name), join(site, "runtime", name));
if (existsSync("exported/bundle.json")) copy("exported", join(site, "bundle"));
else console.error("thisbut: exported/bundle.json is missing; the page will say so. Export a bundle with: thisbut export");
copy(join(runtime, "runtime.js"), join(site, "runtime/runtime.js"));
