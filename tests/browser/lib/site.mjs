// The built site (dist/) with a bundle of choice beside it.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serve } from "./server.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
export const DIST = process.env.SITE ?? at("../../../dist");
export const TINY = at("../fixtures/tiny");

/** @param {{tiny?: boolean, bundle?: string, quality?: number}} options a test bundle instead of the shipped one: `tiny`, or a folder of fixtures */
export function site({ tiny = false, bundle = tiny ? "tiny" : null, quality } = {}) {
  if (!existsSync(`${DIST}/runtime/runtime.js`)) throw new Error(`${DIST}: no built site; run scripts/test site browser`);
  /** @type {[string, string][]} */
  const mounts = bundle ? [["/bundle/", at(`../fixtures/${bundle}`)]] : [];
  return serve({ mounts: [...mounts, ["/", DIST]], quality });
}

/** A bare page with one element: `<this-but device=… timeout=…>`, served by `fault` of the site. */
export function bare(state, attributes) {
  const html = Buffer.from(
    `<!doctype html><html lang="en"><link rel="icon" href="favicon.svg"><script type="module" src="this-but.js"></script><this-but ${attributes}></this-but>`,
  );
  state.fault = (path) => (path === "/bare.html" ? html : undefined);
  return "bare.html";
}
