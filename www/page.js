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

const language = new URLSearchParams(location.search).get("lang");
if (language) root.lang = language;

/**
 * Tells the service worker what this page has loaded before it was there, so that the next visit may be offline.
 * @param {import("./types.js").Info} info
 */
async function keep({ device }) {
  const { active } = await navigator.serviceWorker.ready;
  const { runtime } = await import("./runtime/runtime.js");
  const built = runtime[device];
  if (!active || !built) return;
  const { glue, wasm } = built;
  const own = ["./", "runtime/runtime.js", glue, wasm].map((path) => new URL(path, location.href).href);
  const seen = performance.getEntriesByType("resource").map(({ name }) => name);
  active.postMessage({ keep: [...new Set([...own, ...seen])].filter((url) => url.startsWith(location.origin)) });
}

if ("serviceWorker" in navigator) {
  // A page that cannot be kept (private windows, plain http) works all the same.
  addEventListener("load", () => navigator.serviceWorker.register("sw.js").catch(() => {}));
  document.addEventListener("ready", (event) => keep(/** @type {CustomEvent} */ (event).detail).catch(() => {}));
}
