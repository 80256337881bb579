// Links of a document: led from files of the repository to pages of the site; and, in the built site, followed to their ends.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";

/** A document's pieces, outside and inside its code blocks. @param {string} text */
const pieces = (text) => text.split(/(^```[\s\S]*?^```[^\n]*$)/m);

/** The name by which a heading is linked to: as GitHub makes it, and as the documents' links expect. @param {string} heading */
export const slug = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, "").trim().replaceAll(" ", "-");

/** The path from the repository's root of what a link in `from` means. @param {string} from @param {string} target */
function meant(from, target) {
  const path = posix.normalize(posix.join(posix.dirname(from), target));
  if (path.startsWith("..")) throw new Error(`${from}: the link ${target} leads out of the repository`);
  return path.replace(/\/$/, "");
}

/**
 * A document with its links changed: `lead` gives the address for a path of the repository.
 * @param {string} text
 * @param {string} from its own path
 * @param {(path: string, image: boolean) => string} lead
 */
export function relink(text, from, lead) {
  const change = (/** @type {string} */ piece) =>
    piece.replace(/(!?)(\[[^\]]*\])\(([^)\s]+)\)/g, (all, /** @type {string} */ mark, /** @type {string} */ label, /** @type {string} */ target) => {
      const [path, hash] = target.split("#");
      if (!path || /^[a-z]+:/.test(path) || path.startsWith("/")) return all;
      return `${mark}${label}(${lead(meant(from, path), mark === "!")}${hash ? `#${hash}` : ""})`;
    });
  return pieces(text).map((piece, at) => (at % 2 ? piece : change(piece))).join("");
}

/** @param {string} folder @returns {string[]} */
const walk = (folder) => readdirSync(folder).flatMap((name) => (statSync(join(folder, name)).isDirectory() ? walk(join(folder, name)) : [join(folder, name)]));

/** @param {string} html */
const targets = (html) => [...html.matchAll(/<(?:a|link|script|img|source)\b[^>]*?\s(?:href|src)="([^"]*)"/g)].map(([, target]) => target.replaceAll("&amp;", "&"));

/**
 * Every link of a built site that leads nowhere: a file that is missing, or a place that its page lacks.
 * @param {string} folder @param {string} base what addresses begin with @param {string[]} [aside] folders that are not the site's own
 */
export function dead(folder, base, aside = []) {
  /** @type {Map<string, string>} */
  const pages = new Map();
  for (const path of walk(folder)) if (path.endsWith(".html") && !aside.some((one) => relative(folder, path).startsWith(one))) pages.set(path, readFileSync(path, "utf8"));
  const ids = new Map([...pages].map(([path, html]) => [path, new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id))]));
  const broken = [];
  for (const [page, html] of pages) {
    for (const target of targets(html)) {
      if (/^(?:[a-z]+:|\/\/)/.test(target)) continue;
      const [path, hash] = target.split("#").map(decodeURIComponent);
      const rooted = path.startsWith(base) ? join(folder, path.slice(base.length)) : join(dirname(page), path);
      const full = !path ? page : path.endsWith("/") ? join(rooted, "index.html") : rooted;
      if ((path.startsWith("/") && !path.startsWith(base)) || !existsSync(full)) broken.push(`${relative(folder, page)}: ${target}: there is no such file`);
      else if (hash && ids.has(full) && !ids.get(full)?.has(hash)) broken.push(`${relative(folder, page)}: ${target}: the page has no such place`);
    }
  }
  return [...new Set(broken)];
}
