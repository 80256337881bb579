// From the repository's documents to the pages of the site: every document stays where it is, its page is made in a folder of its
// own with links that lead to other pages. What a document links to that is none becomes a page too, with the file in it.

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { entries } from "../contents.mjs";
import { elementPage } from "./element.mjs";
import { codes, gaps, sentences, withSentences } from "./errors.mjs";
import { relink } from "./links.mjs";
import { sizes } from "./sizes.mjs";
import { carriedOut } from "./snippets.mjs";

export const root = fileURLToPath(new URL("../../../", import.meta.url));
const own = fileURLToPath(new URL("..", import.meta.url));
const PAGES = "docs/site/pages";
const ERRORS = "docs/reference/errors.md";
const ELEMENT = "www/custom-elements.json";
/** Files that a page shows as text; everything else is handed out as it is. */
const TEXT = new Set([".toml", ".json", ".rs", ".py", ".js", ".mjs", ".sh", ".txt", ""]);
const LANGUAGES = /** @type {Record<string, string>} */ ({ ".rs": "rust", ".mjs": "js", ".sh": "sh", "": "sh", ".txt": "text" });

/** @param {string} path @returns {string[]} documents in a folder, from the root */
const documents = (path) =>
  readdirSync(join(root, path), { withFileTypes: true }).flatMap((one) => {
    const inner = posix.join(path, one.name);
    if (one.isDirectory()) return inner === "docs/site" ? [] : documents(inner);
    return inner.endsWith(".md") ? [inner] : [];
  });

/** Fails where a document has no place in the site. */
function placed() {
  const there = new Set(entries().map(({ from }) => from));
  const missing = documents("docs").filter((path) => !there.has(path));
  if (missing.length) throw new Error(`docs/site/contents.mjs has no place for ${missing.join(", ")}: add an entry`);
}

/** The address of a page that shows a file or a folder of the repository. @param {string} path */
const shown = (path) => `source/${path.replace(/\.(?=[^/]*$)/, "-")}`;

/** The file that an entry's page is made from. @param {import("../contents.mjs").Entry} entry */
const source = ({ from, page }) => from ?? posix.join(PAGES, page ?? "");

/** Makes the pages in `folder`. */
class Stage {
  /** @param {string} folder @param {string | null} site the built site, if there is one */
  constructor(folder, site) {
    this.folder = folder;
    this.site = site;
    /** @type {Map<string, string>} path in the repository → address */
    this.routes = new Map();
    /** @type {string[]} */
    this.waiting = [];
    for (const entry of entries()) this.routes.set(source(entry), entry.route);
  }

  /** @param {string} route @param {string} text */
  put(route, text) {
    const path = join(this.folder, `${route}.md`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** The address for a path that a document links to. @param {string} path @param {boolean} image */
  lead(path, image) {
    const full = join(root, path);
    if (!existsSync(full)) throw new Error(`${path}: a document links to it, and it is not there`);
    if (image || (statSync(full).isFile() && extname(path) !== ".md" && !TEXT.has(extname(path)))) {
      cpSync(full, join(this.folder, "public/files", path), { recursive: true });
      return `/files/${path}`;
    }
    if (!this.routes.has(path)) {
      this.routes.set(path, shown(path));
      this.waiting.push(path);
    }
    return `/${this.routes.get(path)?.replace(/(^|\/)index$/, "$1")}`;
  }

  /** @param {string} text @param {string} from */
  linked(text, from) {
    return relink(text, from, (path, image) => this.lead(path, image));
  }

  /** The text of a document, with what only the site has. @param {string} path @param {Record<string, string>} said */
  text(path, said) {
    const text = readFileSync(join(root, path), "utf8");
    if (path === ERRORS) return withSentences(text, said);
    if (path === ELEMENT) return elementPage(JSON.parse(text));
    if (!path.startsWith(PAGES)) return text;
    return carriedOut(text, own).replace("<!-- sizes -->", () => sizes(this.site));
  }

  /** A page with a file or a folder that documents link to. @param {string} path */
  show(path) {
    const full = join(root, path);
    const aside = "---\nsearch: false\nprev: false\nnext: false\n---\n\n";
    if (statSync(full).isDirectory()) {
      const files = readdirSync(full).filter((name) => statSync(join(full, name)).isFile() && (TEXT.has(extname(name)) || name.endsWith(".md")));
      const list = files.map((name) => `- [${name}](${basename(path)}/${name})`).join("\n");
      return `${aside}# ${path}/\n\n${this.linked(list, path)}\n`;
    }
    const text = readFileSync(full, "utf8");
    if (path.endsWith(".md")) return `${aside}${this.linked(text, path)}`;
    const language = LANGUAGES[extname(path)] ?? extname(path).slice(1);
    return `${aside}# ${path}\n\n\`\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\`\n`;
  }

  async run() {
    placed();
    const said = await sentences(root);
    const wrong = gaps(readFileSync(join(root, ERRORS), "utf8"), await codes(root));
    if (wrong.length) throw new Error(`${ERRORS}: ${wrong.join("; ")}`);
    for (const entry of entries()) this.put(entry.route, this.linked(this.text(source(entry), said), source(entry)));
    for (let path = this.waiting.pop(); path; path = this.waiting.pop()) this.put(shown(path), this.show(path));
    const files = join(this.folder, "public");
    mkdirSync(join(files, "element"), { recursive: true });
    cpSync(join(root, "www/favicon.svg"), join(files, "favicon.svg"));
    cpSync(join(root, "tests/browser/fixtures/judge.jpg"), join(files, "element/judge.jpg"));
  }
}

/**
 * Makes every page in `folder`.
 * @param {string} folder @param {string | null} site the built site, if there is one
 */
export const stage = (folder, site) => new Stage(folder, site).run();
