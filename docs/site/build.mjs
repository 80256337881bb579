// Builds the documentation site: node docs/site/build.mjs OUT [SITE] [BASE]
// SITE is a built site (scripts/stage-site), which the examples run on and the figures are of; BASE what addresses begin with.

import { cpSync, existsSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { dead } from "./lib/links.mjs";
import { stage } from "./lib/stage.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** The folder of the built site in this one. */
export const DEMO = "demo";

/** What a host of the site needs of a site to run the element. @param {string} site */
function whole(site) {
  const missing = ["this-but.js", "worker.js", "element/element.js"].filter((path) => !existsSync(join(site, path)));
  if (missing.length) throw new Error(`${site} is no built site: ${missing.join(", ")} is missing; build one with scripts/serve`);
}

/**
 * Builds the site into `out`, which appears when it is whole.
 * @param {{out: string, site?: string | null, base?: string}} options
 */
export async function build({ out, site = null, base = "/" }) {
  if (!/^\/(.*\/)?$/.test(base)) throw new Error(`the base ${base} does not begin and end with "/"`);
  if (site) whole(site);
  const work = mkdtempSync(join(tmpdir(), "thisbut-docs-"));
  const part = `${out}.part`;
  try {
    await stage(join(work, "pages"), site);
    // The pages lie outside of this folder and need its packages.
    symlinkSync(join(here, "node_modules"), join(work, "node_modules"));
    Object.assign(process.env, { DOCS_PAGES: join(work, "pages"), DOCS_DEMO: site ? DEMO : "" });
    const vitepress = await import("vitepress");
    rmSync(part, { recursive: true, force: true });
    await vitepress.build(here, { outDir: part, base });
    if (site) cpSync(site, join(part, DEMO), { recursive: true });
    const broken = dead(part, base, [DEMO]);
    if (broken.length) throw new Error(`links that lead nowhere:\n  ${broken.join("\n  ")}`);
    rmSync(out, { recursive: true, force: true });
    renameSync(part, out);
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(part, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [out, site, base] = process.argv.slice(2);
  try {
    await build({ out: resolve(out), site: site ? resolve(site) : null, base });
  } catch (/** @type {any} */ reason) {
    console.error(`thisbut: ${reason.message}`);
    process.exit(1);
  }
}
