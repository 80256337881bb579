// <this-but>: search by "this, but …". One tag, one module script; everything else lies in element/.
//
// Attributes, properties, methods, events and styles: README.md. This file only brings the element in, so that a site which
// lacks one of its files says so instead of showing nothing.

const SENTENCES = /** @type {Record<string, string>} */ ({
  en: "A part of the search is missing on this site.",
  de: "Auf dieser Website fehlt ein Teil der Suche.",
  ar: "ينقص هذا الموقعَ جزءٌ من البحث.",
  es: "A este sitio le falta una parte de la búsqueda.",
  fr: "Il manque une partie de la recherche sur ce site.",
  it: "A questo sito manca una parte della ricerca.",
  ja: "このサイトには検索の一部がありません。",
  nl: "Op deze site ontbreekt een deel van het zoeken.",
  pl: "Na tej witrynie brakuje części wyszukiwania.",
  pt: "Falta uma parte da busca neste site.",
  sv: "En del av sökningen saknas på webbplatsen.",
  zh: "本网站缺少搜索的一部分。",
});

/** An element that says that its own files are missing. */
function stump(/** @type {unknown} */ reason) {
  console.error("this-but: a file of element/ could not be loaded:", reason);
  return class extends HTMLElement {
    static define() {}
    connectedCallback() {
      const lang = (this.lang || document.documentElement.lang || "en").split("-")[0];
      const said = Object.assign(document.createElement("p"), { textContent: SENTENCES[lang] ?? SENTENCES.en, title: String(reason) });
      said.setAttribute("role", "alert");
      (this.shadowRoot ?? this.attachShadow({ mode: "open" })).replaceChildren(said);
    }
  };
}

/** @returns {Promise<any>} */
async function load() {
  try {
    return (await import("./element/element.js")).ThisBut;
  } catch (reason) {
    if (!globalThis.HTMLElement) throw reason;
    return stump(reason);
  }
}

export const ThisBut = /** @type {typeof import("./element/element.js").ThisBut} */ (await load());

/** Adds a language; missing sentences stay English. @type {typeof import("./element/strings.js").define} */
export const define = (lang, table) => ThisBut.define(lang, table);

// Two copies of the script on one page are one element.
if (globalThis.customElements && !customElements.get("this-but")) customElements.define("this-but", ThisBut);
