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

if ("serviceWorker" in navigator) {
  addEventListener("load", () => navigator.serviceWorker.register("sw.js").catch(() => {}));
}
