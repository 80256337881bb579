// Live examples and themes: the files that the pages run are the ones that they show.

import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

const fence = (/** @type {string} */ language, /** @type {string} */ text) => `\`\`\`${language}\n${text.trim()}\n\`\`\``;

/**
 * An example's script as a page of one's own has it: the function's body, with what it is given looked up.
 * @param {string} text @param {string} name
 */
export function script(text, name) {
  const found = /^export default async \(([\w, ]+)\) => \{\n([\s\S]*?)\n\};\n?$/m.exec(text);
  if (!found) throw new Error(`examples/${name}.js: it is not "export default async (search, out) => { … };"`);
  const body = found[2].replace(/^ {2}/gm, "");
  const given = found[1].split(", ").map((one) => `const ${one} = document.querySelector("${one === "search" ? "this-but" : "output"}");`);
  return [...given, "", body].join("\n");
}

/** @param {Record<string, string>} attributes */
const tag = (attributes) => `<this-but${Object.entries(attributes).map(([name, value]) => (value ? ` ${name}="${value}"` : ` ${name}`)).join("")}></this-but>`;

/** A live example with its code. @param {string} root this folder @param {string} name @param {Record<string, string>} attributes */
function example(root, name, attributes) {
  const live = `<Live example="${name}" attributes='${JSON.stringify(attributes)}' />`;
  const text = name === "smallest" ? "" : script(readFileSync(join(root, `examples/${name}.js`), "utf8"), name);
  const output = text.includes('"output"') ? "\n<output></output>" : "";
  const html = fence("html", `<script type="module" src="this-but.js"></script>\n${tag(attributes)}${output}`);
  return [live, html, ...(text ? [fence("js", text)] : [])].join("\n\n");
}

/** The themes: file name, title and sentence (its first comment), style. @param {string} root */
export function themes(root) {
  const folder = join(root, "themes");
  return readdirSync(folder).sort().map((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const [, title, sentence] = /^\/\* ([^:]+): (.+?) \*\/\n/.exec(text) ?? [];
    if (!title) throw new Error(`themes/${file}: begin it with a comment, "Name: one sentence."`);
    return { name: basename(file, ".css").replace(/^\d+-/, ""), title, sentence, css: text.slice(text.indexOf("*/") + 3) };
  });
}

/** @param {string} root */
const gallery = (root) =>
  themes(root).map(({ name, title, sentence, css }) => `## ${title}\n\n${sentence}\n\n<Live example="ask" look="${name}" attributes='{"limit":"6"}' />\n\n${fence("css", css)}`).join("\n\n");

/**
 * A page of this folder with its directives carried out: `<!-- example NAME attribute=value … -->`, `<!-- themes -->`.
 * @param {string} text @param {string} root
 */
export const carriedOut = (text, root) =>
  text
    .replace(/<!-- example ([\w-]+)((?: [\w-]+(?:=\S+)?)*) -->/g, (_, /** @type {string} */ name, /** @type {string} */ rest) => {
      const attributes = rest.split(" ").filter(Boolean).map((one) => [one.split("=")[0], one.split("=")[1] ?? ""]);
      return example(root, name, Object.fromEntries(attributes));
    })
    .replace("<!-- themes -->", () => gallery(root));
