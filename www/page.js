// The demo page: a light/dark switch that is remembered, and the service worker that makes the page itself open
// offline. The search is all in <this-but>.

const root = document.documentElement;
const KEY = "thisbut:theme";

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {?string} theme */
function paint(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}

paint(stored());
document.querySelector(".theme")?.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  paint(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Not remembered in private windows.
  }
});

// The page's own sentences are English; those of the element may be others.
const language = new URLSearchParams(location.search).get("lang");
if (language) document.querySelector("this-but")?.setAttribute("lang", language);

/** @typedef {import("./types.js").Info} Info */

/**
 * Hands addresses to the service worker, which keeps what is there; gives how many it has.
 * @param {string[]} urls
 * @returns {Promise<number>}
 */
async function keep(urls) {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = ({ data }) => done(data);
    active?.postMessage({ keep: urls }, [port2]);
  });
}

/**
 * Tells the service worker what this page has loaded before it was there, so that the next visit may be offline.
 * @param {Info} info
 */
async function remember({ device }) {
  const { runtime } = await import("./runtime/runtime.js");
  const built = runtime[device];
  if (!built) return;
  const { glue, wasm } = built;
  const own = ["./", "runtime/runtime.js", glue, wasm].map((path) => new URL(path, location.href).href);
  // The worker's own modules are not among the page's resources.
  const loader = ["failure", "index", "indexing", "meter", "parts", "program", "steady"].map((name) => new URL(`loader/${name}.js`, location.href).href);
  const [spoken] = (document.querySelector("this-but")?.shadowRoot?.querySelector("[lang]")?.getAttribute("lang") ?? "en").split("-");
  const folder = ["files", "folder", "helpers", "keep", "panel", "publish", "words", ...(spoken === "en" ? [] : [`words.${spoken}`]), "work", "zip"].map((name) => `folder/${name}`);
  // What is fetched when it is asked for, it may be asked for offline.
  const later = ["address", "crop", "decode", "examples", "how", "kept", "many", "measure", "own", "peek", "refine", "sniff", "words", "words-errors", ...folder].map((name) => new URL(`element/later/${name}.js`, location.href).href);
  const seen = performance.getEntriesByType("resource").map(({ name }) => name);
  await keep([...new Set([...own, ...loader, ...later, ...seen])].filter((url) => url.startsWith(location.origin)));
}

/** Pictures that are kept at a time. */
const HANDFUL = 24;

/**
 * Offers to keep every picture of the gallery: searches work offline without it, but without their pictures.
 * @param {any} element
 * @param {Info} info
 */
async function offer(element, { count }) {
  const button = /** @type {?HTMLButtonElement} */ (document.querySelector(".offline"));
  if (!button || !count) return;
  const all = `Keep all ${count.toLocaleString("en")} pictures for offline use`;
  button.textContent = all;
  button.hidden = false;
  button.onclick = async () => {
    button.disabled = true;
    for (let at = 0; at < count; at += HANDFUL) {
      const { items } = await element.items(at, HANDFUL);
      await keep(items.map((/** @type {import("./types.js").Item} */ { image }) => image));
      button.textContent = `${Math.round((Math.min(at + HANDFUL, count) / count) * 100)} %`;
    }
    button.textContent = "All pictures are on this device";
  };
}

/**
 * Says what the model understands and whose the pictures are, as the bundle states it.
 * @param {Info} info
 */
function tell({ understands, licence }) {
  const line = /** @type {?HTMLElement} */ (document.querySelector(".about"));
  const said = [understands && `The model understands: ${understands}.`, licence && `Pictures: ${licence}.`].filter(Boolean);
  if (!line) return;
  line.textContent = said.join(" ").replaceAll("..", ".");
  line.hidden = !said.length;
}

document.addEventListener("ready", (event) => tell(/** @type {CustomEvent<Info>} */ (event).detail));

if ("serviceWorker" in navigator) {
  // A page that cannot be kept (private windows, plain http) works all the same.
  addEventListener("load", () => navigator.serviceWorker.register("sw.js").catch(() => {}));
  document.addEventListener("ready", (event) => {
    const { target, detail } = /** @type {CustomEvent<Info>} */ (event);
    remember(detail).catch(() => {});
    navigator.serviceWorker.ready.then(() => offer(target, detail)).catch(() => {});
  });
}
