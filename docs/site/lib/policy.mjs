// The site keeps to the strict content policy that the element needs no more than: no inline scripts, no inline styles.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Puts a file among the site's assets, named by its content, and gives its address. @param {{outDir: string, base: string}} site @param {string} kind @param {string} body @param {string} ending */
function asset({ outDir, base }, kind, body, ending) {
  const name = `assets/${kind}.${createHash("sha256").update(body).digest("hex").slice(0, 16)}.${ending}`;
  mkdirSync(join(outDir, "assets"), { recursive: true });
  writeFileSync(join(outDir, name), body);
  return `${base}${name}`;
}

/**
 * A page with its inline scripts in files of their own, and without style attributes: style.css does without them.
 * @param {string} html @param {{outDir: string, base: string}} site
 */
export const strict = (html, site) =>
  html
    .replace(/<script( [^>]*)?>([\s\S]+?)<\/script>/g, (_, /** @type {string | undefined} */ attributes, /** @type {string} */ code) => `<script${attributes ?? ""} src="${asset(site, "inline", code, "js")}"></script>`)
    .replace(/(<[a-z][^<>]*) style="[^"]*"/g, "$1");

/** Puts the drawings that stand in the site's styles into files of their own. @param {{outDir: string, base: string}} site */
export function strictStyles(site) {
  const folder = join(site.outDir, "assets");
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".css"))) {
    const css = readFileSync(join(folder, name), "utf8");
    const changed = css.replace(/url\("?data:image\/svg\+xml,((?:%[0-9A-Fa-f]{2}|[^"()]|\((?:[^()]*)\))*)"?\)/g, (_, /** @type {string} */ code) => `url("${asset(site, "icon", decodeURIComponent(code), "svg")}")`);
    if (changed.includes("url(data:") || changed.includes('url("data:')) throw new Error(`${name}: a drawing in it could not be put into a file`);
    writeFileSync(join(folder, name), changed);
  }
}

/** Tokens of code get classes, whose colours stand in style.css. A transformer for Shiki. */
export const tokenClasses = {
  name: "thisbut:classes",
  /** @param {any} node */
  pre(node) {
    delete node.properties.style;
  },
  /** @param {any} node */
  span(node) {
    const { style } = node.properties;
    const name = /--shiki-token-([\w-]+)/.exec(style ?? "")?.[1];
    delete node.properties.style;
    if (name) node.properties.class = `token-${name}`;
  },
};

/** Markdown without inline styles, and with the documents' angle and curly brackets as they are. @param {any} md */
export function plainMarkdown(md) {
  const escape = md.utils.escapeHtml;
  const { rules } = md.renderer;
  const own = (/** @type {any} */ env) => env.relativePath === "index.md" || env.relativePath.startsWith("element/");
  for (const rule of ["html_inline", "html_block"]) {
    const before = rules[rule];
    rules[rule] = (/** @type {any[]} */ tokens, /** @type {number} */ at, /** @type {any} */ options, /** @type {any} */ env, /** @type {any} */ self) =>
      own(env) ? before(tokens, at, options, env, self) : escape(tokens[at].content);
  }
  rules.text = (/** @type {any[]} */ tokens, /** @type {number} */ at) => escape(tokens[at].content).replaceAll("{{", "&#123;&#123;");
  rules.code_inline = (/** @type {any[]} */ tokens, /** @type {number} */ at) => `<code v-pre>${escape(tokens[at].content)}</code>`;
  for (const rule of ["td_open", "th_open", "th_close"]) {
    rules[rule] = (/** @type {any[]} */ tokens, /** @type {number} */ at, /** @type {any} */ options, /** @type {any} */ _env, /** @type {any} */ self) => {
      const token = tokens[at];
      // A head without words is none, for those who hear it.
      if (rule !== "td_open" && !tokens[rule === "th_open" ? at + 1 : at - 1].content) token.tag = "td";
      const side = /text-align:(\w+)/.exec(token.attrGet("style") ?? "")?.[1];
      if (side) {
        token.attrs = token.attrs.filter((/** @type {string[]} */ [name]) => name !== "style");
        token.attrJoin("class", `at-${side}`);
      }
      return self.renderToken(tokens, at, options);
    };
  }
}
