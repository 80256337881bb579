// VitePress's configuration. The pages come from lib/stage.mjs, by way of build.mjs, which names their folder.

import { fileURLToPath } from "node:url";
import { createCssVariablesTheme } from "shiki";
import { entries, sections } from "../contents.mjs";
import { slug } from "../lib/links.mjs";
import { plainMarkdown, strict, strictStyles, tokenClasses } from "../lib/policy.mjs";

const { DOCS_PAGES: srcDir, DOCS_DEMO: demo } = process.env;
if (!srcDir) throw new Error("DOCS_PAGES is not set: build the site with scripts/docs");

const link = (/** @type {string} */ route) => `/${route.replace(/(^|\/)index$/, "$1")}`;
const at = (/** @type {any} */ { outDir, site }) => ({ outDir, base: site.base });
const own = (/** @type {string} */ file) => fileURLToPath(new URL(`./theme/${file}`, import.meta.url));

/** Beside a page stand the sections that share its folder. @returns {Record<string, any[]>} */
function sidebar() {
  /** @type {Record<string, any[]>} */
  const groups = {};
  for (const { title, entries } of sections) {
    const folder = `/${entries[0].route.split("/")[0]}/`;
    (groups[folder] ??= []).push({ text: title, items: entries.map(({ title, route }) => ({ text: title, link: link(route) })) });
  }
  return groups;
}

/** At the top, the first page of each folder stands for it. */
const nav = Object.entries(sidebar()).map(([folder, groups]) => ({ text: groups.at(-1).text, link: groups[0].items[0].link, activeMatch: `^${folder}` }));
const titles = new Map(entries().map(({ route, title }) => [`${route}.md`, title]));

export default {
  srcDir,
  ignoreDeadLinks: "localhostLinks",
  cacheDir: `${srcDir}/../cache`,
  lang: "en",
  title: "thisbut",
  description: "Search by “this, but …”: how to use it, put it on a page, and train it.",
  // Without the style element that would hold transitions back.
  appearance: { disableTransition: false },
  head: [
    ["meta", { name: "color-scheme", content: "light dark" }],
    ["meta", { name: "theme-color", content: "#fbf9f5", media: "(prefers-color-scheme: light)" }],
    ["meta", { name: "theme-color", content: "#141318", media: "(prefers-color-scheme: dark)" }],
  ],
  markdown: {
    theme: createCssVariablesTheme({ name: "thisbut", variablePrefix: "--shiki-", fontStyle: false }),
    codeTransformers: [tokenClasses],
    anchor: { slugify: slug },
    attrs: { disable: true },
    config: plainMarkdown,
  },
  vue: { template: { compilerOptions: { isCustomElement: (/** @type {string} */ tag) => tag === "this-but" } } },
  vite: {
    resolve: {
      alias: [
        { find: /^.*\/VPSidebarItem\.vue$/, replacement: own("SidebarItem.vue") },
        { find: /^.*\/VPNavBarSearchButton\.vue$/, replacement: own("SearchButton.vue") },
        { find: /^.*\/VPLocalSearchBox\.vue$/, replacement: own("Search.vue") },
      ],
    },
    publicDir: `${srcDir}/public`,
    build: { chunkSizeWarningLimit: 2000 },
  },
  transformPageData: (/** @type {any} */ page) => {
    page.frontmatter.title ??= titles.get(page.relativePath);
  },
  transformHead: (/** @type {any} */ { siteData }) => [["link", { rel: "icon", type: "image/svg+xml", href: `${siteData.base}favicon.svg` }]],
  transformHtml: (/** @type {string} */ html, /** @type {string} */ _id, /** @type {any} */ { siteConfig }) => strict(html, at(siteConfig)),
  buildEnd: (/** @type {any} */ siteConfig) => strictStyles(at(siteConfig)),
  themeConfig: {
    demo: demo ?? "",
    siteTitle: false,
    nav,
    sidebar: sidebar(),
    outline: { level: [2, 3], label: "On this page" },
    search: { provider: "local" },
    docFooter: { prev: "Before", next: "Next" },
    externalLinkIcon: false,
    darkModeSwitchLabel: "Light or dark",
  },
};
