// Finer questions about the present image and words: what is not wanted, picture against words, a second image, a part of the
// gallery; and the answer as a file. Fetched when somebody asks for it.

import { h, icon, wear } from "../dom.js";
import { bare } from "../suggest.js";

/** @import { Item, QueryVector, Reference, Refined, Translate } from "../../types.js" */
/** @import { Search } from "../search.js" */

const css = `
.finer { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(260px, 100%), 1fr)); gap: 20px 36px; padding: 20px; margin-block-end: 20px; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_card); }
.finer fieldset { border: 0; margin: 0; padding: 0; min-inline-size: 0; }
.finer .wide { grid-column: 1 / -1; }
.finer legend { padding: 0; margin-block-end: 8px; font-weight: 600; font-size: .9375rem; }
.finer .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.finer input[type=range] { inline-size: 100%; accent-color: var(--_accent); block-size: 28px; margin: 0; }
.finer .ends { display: flex; justify-content: space-between; font-size: .8125rem; color: var(--_soft); }
.finer input[type=text] { flex: 1; min-inline-size: 0; border: 0; border-block-end: 2px solid var(--_line); background: none; padding: 6px 0; font-size: 1rem; }
.shell:dir(rtl) .finer input:placeholder-shown { direction: rtl; }
.finer input[type=text]:focus { border-color: var(--_accent); outline: 0; }
.finer .token { text-decoration: line-through; text-decoration-color: var(--_accent); }
.finer .token .icon { text-decoration: none; }
.finer small { color: var(--_soft); }
.finer .second { display: inline-flex; gap: 10px; align-items: center; }
.finer .second img { inline-size: 52px; block-size: 52px; border-radius: calc(var(--_radius) * .5); object-fit: cover; background: var(--_tile); }
.finer .facet small { margin-inline-start: 6px; }
@media (forced-colors: active) { .finer { border-color: ButtonText; } }
`;

/** A field of a table, in quotes where it needs them. @param {unknown} value */
const field = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

/**
 * The answer as a table, with a bar between tags as `thisbut index --csv` reads them; behind them the columns of the site owner's
 * own table.
 * @param {Item[]} hits
 */
export function asCsv(hits) {
  const named = ["rank", "score", "index", "id", "title", "tags", "image", "url"];
  const more = [...new Set(hits.flatMap(({ extra = {} }) => Object.keys(extra)))].filter((name) => !named.includes(name));
  const line = (/** @type {Item} */ { score, index, id, title, tags = [], image, url = "", extra = {} }, /** @type {number} */ at) => [at + 1, score, index, id, title, tags.join("|"), new URL(image, document.baseURI).href, url, ...more.map((name) => extra[name] ?? "")];
  return [[...named, ...more], ...hits.map(line)].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

/**
 * The answer with its question, as JSON. `query`: the vectors that the engine searched with; null where the search is no one query.
 * @param {{reference: ?Reference, text: string, refined: Refined, hits: Item[], query: ?QueryVector}} answer
 */
export function asJson({ reference, text, refined: { also, ...rest }, hits, query }) {
  const known = (/** @type {Reference} */ { title, item, id }) => ({ title, index: item ?? null, id: id ?? null });
  return JSON.stringify({ reference: reference && known(reference), also: also.map(known), text, ...rest, query, hits }, null, 2);
}

/**
 * The vectors of the present question, of which the engine has seen pictures and words already.
 * @param {Search} search
 * @returns {Promise<?QueryVector>}
 */
async function vectors({ client, step, steps, scope }) {
  const { query } = await client.query({ image: step.reference, text: steps.text, limit: 1, refined: { ...step.refined, ...scope }, vector: true });
  const { model, rows, dimension } = await client.start();
  return query ? { model, space: rows, dimension, count: query.length / dimension, values: [...query] } : null;
}

/** @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * @param {HTMLElement} node
 * @param {{t: Translate, refined: Refined, both: boolean, facets: [string, number][], change: (to: Partial<Refined>) => void, saves: {csv: () => void, json: () => void}}} what
 * `both`: there are image and words
 */
function show(node, { t, refined, both, facets, change, saves }) {
  wear(/** @type {ShadowRoot} */ (node.getRootNode()), css);
  const { without, balance, only, also } = refined;
  const group = (/** @type {string} */ legend, /** @type {Node[]} */ ...inner) => h("fieldset", {}, h("legend", {}, t(legend)), ...inner);
  const slide = h("input", { type: "range", min: "0", max: "100", step: "5", value: String(Math.round(balance * 100)), "aria-label": t("balance"), onchange: () => change({ balance: Number(slide.value) / 100 }) });
  const weight = group("balance", slide, h("div.ends", { "aria-hidden": "true" }, h("span", {}, t("balanceImage")), h("span", {}, t("balanceWords"))));
  weight.hidden = !both;
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = unwanted.value.trim().slice(0, 200);
    if (text && without.length < 4 && !without.includes(text)) change({ without: [...without, text] });
  };
  const unwanted = h("input", { type: "text", autocomplete: "off", dir: "auto", placeholder: t("withoutPlaceholder"), "aria-label": t("without"), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && !event.isComposing && add(event) });
  const drop = (/** @type {string} */ text) =>
    h("button.token", { type: "button", "aria-label": t("token", { text }), title: t("token", { text }), onclick: () => change({ without: without.filter((one) => one !== text) }) }, bare(text), icon("close"));
  const second = also.map((one) =>
    h("span.second", {}, h("img", { src: one.image, alt: "" }), one.title, h("button.quiet", { type: "button", "aria-label": t("token", { text: one.title }), onclick: () => change({ also: also.filter((other) => other !== one) }) }, icon("close"))),
  );
  // What a link asked for is shown though it is none of the usual words.
  const others = only.filter((word) => !facets.some(([usual]) => usual === word));
  const parts = [...facets, ...others.map((word) => /** @type {[string, ?number]} */ ([word, null]))].map(([word, count]) => {
    const on = only.includes(word);
    const toggled = () => change({ only: on ? only.filter((one) => one !== word) : [...only, word] });
    return h("button.chip.facet", { type: "button", "aria-pressed": String(on), onclick: toggled }, word, count === null ? null : h("small", {}, String(count)));
  });
  const file = (/** @type {string} */ label, /** @type {() => void} */ act) => h("button.quiet", { type: "button", onclick: act }, icon("save"), label);
  const part = group("only", h("div.row", {}, ...parts));
  part.classList.add("wide");
  part.hidden = !parts.length;
  // Built anew: the focus stays where it was.
  const named = (/** @type {?Element} */ one) => one?.getAttribute("aria-label") ?? one?.textContent;
  const { activeElement } = /** @type {ShadowRoot} */ (node.getRootNode());
  const focused = node.contains(activeElement) ? named(activeElement) : null;
  node.replaceChildren(
    weight,
    group("without", h("div.row", {}, ...without.map(drop), unwanted)),
    group("second", h("div.row", {}, ...(second.length ? second : [h("small", {}, t("secondHint"))]))),
    part,
    group("save", h("div.row", {}, file("CSV", saves.csv), file("JSON", saves.json))),
  );
  const again = focused && [...node.querySelectorAll("button, input")].find((one) => named(one) === focused);
  if (again) /** @type {HTMLElement} */ (again).focus({ preventScroll: true });
}

/** The finer questions about the present step. @param {Search} search */
export function refined(search) {
  const { view, t, info, step, steps } = search;
  const { reference, refined } = step;
  const saves = {
    csv: () => save("thisbut.csv", "text/csv", asCsv(search.host.hits)),
    json: async () => {
      // As it stands now: another step may be looked at when the vectors are there.
      const answer = { reference, text: steps.text, refined: { ...refined }, hits: search.host.hits };
      try {
        // The gallery as it is looked at is no answer to a query.
        save("thisbut.json", "application/json", asJson({ ...answer, query: search.browsing ? null : await vectors(search) }));
      } catch (reason) {
        search.fail(reason, true);
      }
    },
  };
  const change = (/** @type {Partial<Refined>} */ to) => {
    Object.assign(refined, to);
    search.run();
  };
  show(view.panel, { t, refined, both: Boolean(reference && steps.text), facets: info?.facets?.slice(0, 12) ?? [], change, saves });
}
