// The few lines of DOM building that the element needs: no inline styles, no innerHTML from data.

/**
 * `h("button.go", {type: "button", onclick}, "text", child)`; classes after dots, `part` doubles as a styling hook.
 * Properties beginning with "on" are listeners, `aria-*`, `role`, `part`, `for`, `data-*` become attributes.
 * @template {string} Spec
 * @param {Spec} spec
 * @param {Record<string, any>} props
 * @param {(Node | string | null | undefined)[]} children
 * @returns {import("../types.js").Made<Spec>}
 */
export function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  /** @type {any} */
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$|part$|for$|capture$|tabindex$|lang$|dir$)/.test(name)) node.setAttribute(name, value === true ? "" : value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  close: "M6 6l12 12M18 6L6 18",
  upload: "M12 16V4m0 0L7 9m5-5l5 5M4 16v3a1 1 0 001 1h14a1 1 0 001-1v-3",
  camera: "M4 8h3l2-3h6l2 3h3a1 1 0 011 1v9a1 1 0 01-1 1H4a1 1 0 01-1-1V9a1 1 0 011-1zm8 9a4 4 0 100-8 4 4 0 000 8z",
  look: "M10.5 17a6.5 6.5 0 100-13 6.5 6.5 0 000 13zm4.8-1.7L20 20M10.5 8v5M8 10.5h5",
  crop: "M7 3v14h14M3 7h14v14",
  link: "M10 14l4-4M8.5 11l-2 2a3.2 3.2 0 004.500 4.500l2-2M15.500 13l2-2a3.200 3.200 0 00-4.500-4.500l-2 2",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  out: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 01-1 1H5a1 1 0 01-1-1V7a1 1 0 011-1h5",
  arrow: "M5 12h14m0 0l-6-6m6 6l-6 6",
  shuffle: "M4 7h3l9 10h4m0 0l-3-3m3 3l-3 3M4 17h3l2.5-2.8M13.5 9.8L16 7h4m0 0l-3-3m3 3l-3 3",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  why: "M9 9a3 3 0 114 3c-1 .500-1 1-1 2m0 4h.01",
  chart: "M5 20V10m7 10V4m7 16v-7",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3",
  grid: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  save: "M12 4v11m0 0l-5-5m5 5l5-5M5 20h14",
  finer: "M4 7h9m4 0h3M4 17h3m4 0h9M15 9.500a2.500 2.500 0 100-5 2.500 2.500 0 000 5zM9 19.500a2.500 2.500 0 100-5 2.500 2.500 0 000 5z",
  back: "M9 7L4 12l5 5M4 12h11a5 5 0 015 5v1",
};

/**
 * A line icon, hidden from screen readers: the button around it has the words.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** @type {Map<string, CSSStyleSheet>} */
const sheets = new Map();

/**
 * Gives a shadow root styles without an inline style element: strict content policies allow this.
 * @param {ShadowRoot} root
 * @param {string} css
 */
export function wear(root, css) {
  let sheet = sheets.get(css);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    sheets.set(css, sheet);
  }
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/** Whether the visitor asked for less motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
