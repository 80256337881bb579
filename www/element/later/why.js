// "Why these?": the reference with what counted laid over it, and the words with their weights; a word shows where the model looked
// when it read it. Fetched when somebody asks for it, and only then is anything computed.

import { calm, h, icon, wear } from "../dom.js";
import { bare } from "../suggest.js";
import { css as dialog } from "./peek.js";

/** @import { Reference, Translate, Why, WhyPart } from "../../types.js" */
/** @import { Search } from "../search.js" */

const css = `
.why { display: grid; grid-template-columns: minmax(0, 300px) minmax(0, 1fr); gap: 20px 32px; align-items: center; inline-size: min(660px, 100vw - 72px); }
.why h2 { font: 400 1.75rem/1.15 var(--_voice); padding-inline-end: 44px; grid-column: 1 / -1; }
.heat { position: relative; inline-size: fit-content; max-inline-size: 100%; margin-inline: auto; border-radius: var(--_radius); overflow: hidden; background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile)); }
.heat > * { display: block; max-inline-size: 100%; max-block-size: min(44dvh, 340px); min-inline-size: min(220px, 60vw); object-fit: contain; }
.heat > img { transition: filter .3s, opacity .3s; }
.heat.told > img { filter: grayscale(.85); opacity: .5; }
.heat > canvas { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; min-inline-size: 0; max-block-size: none; }
.weigh { display: flex; flex-wrap: wrap; gap: 8px; align-items: stretch; }
.weigh > i { font: italic 400 1.375rem/1.2 var(--_voice); color: var(--_accent); align-self: center; flex-basis: 100%; }
.weigh button { display: grid; justify-items: start; align-content: center; min-block-size: 48px; padding: 6px 14px; border-radius: 14px; border: 1px solid var(--_line); background: linear-gradient(to top, color-mix(in srgb, var(--_accent) 24%, transparent) calc(var(--part) * 100%), transparent 0) var(--_card); line-height: 1.2; overflow-wrap: anywhere; transition: border-color .15s; }
.weigh button:hover { border-color: var(--_accent); }
.weigh button[aria-pressed=true] { border-color: var(--_accent); box-shadow: inset 0 0 0 1px var(--_accent); }
.weigh small { font-size: .8125rem; color: var(--_soft); font-variant-numeric: tabular-nums; }
.why .told { margin-block: 14px 0; }
.why .fine { margin-block: 10px 0; font-size: .8125rem; line-height: 1.45; color: var(--_soft); }
@container (max-width: 640px) { .why { grid-template-columns: minmax(0, 1fr); inline-size: auto; gap: 16px; } .heat > * { max-block-size: 34dvh; } }
@media (forced-colors: active) { .weigh button[aria-pressed=true] { outline: 2px solid Highlight; } }
`;

/** Pixels of a side of the heat, before the browser smooths it over the picture; most of the picture's own. */
const SIDE = 96;
const LARGE = 720;
/** Times the mean of all cells that is the full colour where no cell has more; what of the mean still is nothing. */
const FULL = 2.5;
const NOTHING = 0.5;
/** Little and much, and how much of the picture the full colour hides. */
const COLOURS = [[255, 190, 60], [206, 32, 28]];
const OPAQUE = 0.62;
/** ms from one map to the next. */
const TURN = 220;
/** Words that are told in a sentence. */
const TOLD = 4;

/** @type {Record<Why["place"], string>} */
const PLACES = {
  "top-left": "whyTopLeft",
  top: "whyTop",
  "top-right": "whyTopRight",
  left: "whyLeft",
  middle: "whyMiddle",
  right: "whyRight",
  "bottom-left": "whyBottomLeft",
  bottom: "whyBottom",
  "bottom-right": "whyBottomRight",
  all: "whyAllOver",
};

/**
 * How hot each point of a square over the grid is, from 0 to 1: colours run from cell to cell.
 * @param {number[]} grid @param {number} rows @param {number} cols
 */
export function heat(grid, rows, cols) {
  const cells = grid.length;
  const most = Math.max(FULL, Math.max(...grid) * cells);
  const cell = (/** @type {number} */ row, /** @type {number} */ col) => grid[Math.max(0, Math.min(rows - 1, row)) * cols + Math.max(0, Math.min(cols - 1, col))] * cells;
  const hot = new Float32Array(SIDE * SIDE);
  for (let at = 0; at < hot.length; at += 1) {
    const [y, x] = [((Math.floor(at / SIDE) + 0.5) / SIDE) * rows - 0.5, (((at % SIDE) + 0.5) / SIDE) * cols - 0.5];
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const row = (/** @type {number} */ row) => cell(row, left) * (1 - x + left) + cell(row, left + 1) * (x - left);
    const density = row(top) * (1 - y + top) + row(top + 1) * (y - top);
    hot[at] = Math.max(0, Math.min(1, (density - NOTHING) / (most - NOTHING)));
  }
  return hot;
}

/** A canvas of the heat: in colours, or as what it lets through. @param {Float32Array} hot @param {boolean} mask */
function layer(hot, mask) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const pixels = new ImageData(SIDE, SIDE);
  for (const [at, value] of hot.entries()) {
    for (const channel of [0, 1, 2]) pixels.data[at * 4 + channel] = COLOURS[0][channel] + (COLOURS[1][channel] - COLOURS[0][channel]) * value;
    pixels.data[at * 4 + 3] = 255 * (mask ? Math.min(1, 2 * value) : OPAQUE * value * (2 - value));
  }
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}

/** The picture where it counted, in colours; the rest of it is the pale one below. @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image @param {Why} why @param {number[]} grid */
function draw(canvas, image, { rows, cols, frame }, grid) {
  const { width, height } = canvas;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const hot = heat(grid, rows, cols);
  /** @type {[number, number, number, number]} */
  const place = [frame.x * width, frame.y * height, frame.width * width, frame.height * height];
  pen.imageSmoothingQuality = "high";
  pen.globalCompositeOperation = "copy";
  pen.drawImage(image, 0, 0, width, height);
  pen.globalCompositeOperation = "destination-in";
  pen.drawImage(layer(hot, true), ...place);
  pen.globalCompositeOperation = "source-over";
  pen.drawImage(layer(hot, false), ...place);
}

/**
 * What is seen, and `show`, which turns from one map to another.
 * @param {HTMLImageElement} image @param {Why} why
 */
function stage(image, why) {
  const scale = Math.min(1, LARGE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = h("canvas", { width: Math.max(1, Math.round(image.naturalWidth * scale)), height: Math.max(1, Math.round(image.naturalHeight * scale)), "aria-hidden": "true" });
  let shown = why.grid;
  let turn = 0;
  const show = (/** @type {number[]} */ grid) => {
    const from = shown;
    const began = performance.now();
    const mine = ++turn;
    const step = () => {
      if (mine !== turn) return;
      const part = calm() ? 1 : Math.min(1, (performance.now() - began) / TURN);
      shown = grid.map((share, at) => from[at] + (share - from[at]) * part * (2 - part));
      draw(canvas, image, why, shown);
      if (part < 1) requestAnimationFrame(step);
    };
    step();
  };
  draw(canvas, image, why, shown);
  return { canvas, show };
}

const percent = (/** @type {number} */ share) => Math.round(100 * share);

/** What counted, in two sentences: of the picture, and of the words. @param {Translate} t @param {Why} why */
function told(t, why) {
  const most = [...why.words].sort((a, b) => b.share - a.share).slice(0, TOLD);
  const words = most.map(({ text, share }) => t("whyShare", { word: bare(text), n: percent(share) })).join(", ");
  return [t("whyPicture", { place: t(PLACES[why.place]) }), t("whyWords", { words })];
}

/** The words and, where there are several changes, each of them, as buttons; one is pressed at most. @param {Translate} t @param {Why} why @param {(part: ?WhyPart) => void} show */
function weights(t, why, show) {
  // The fullest word fills its button.
  const most = Math.max(...why.words.map(({ share }) => share));
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  const press = (/** @type {WhyPart} */ part, /** @type {HTMLButtonElement} */ button) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const one of buttons) one.setAttribute("aria-pressed", String(on && one === button));
    show(on ? part : null);
  };
  const made = (/** @type {WhyPart} */ part) => {
    const button = h("button", { type: "button", dir: "auto", "aria-pressed": "false", onclick: () => press(part, button) }, part.text, " ", h("small", {}, t("whyPercent", { n: percent(part.share) })));
    button.style.setProperty("--part", String(Math.min(1, part.share / most)));
    buttons.push(button);
    return button;
  };
  const group = (/** @type {WhyPart[]} */ parts) => h("div.weigh", { role: "group", "aria-label": t("whyTitle") }, ...parts.map(made));
  const words = group(why.words);
  words.prepend(h("i", { "aria-hidden": "true" }, `${t("this")} ${t("but")}`));
  return [words, why.phrases.length > 1 ? group(why.phrases) : null];
}

/** Asks the engine. @param {Search} search @param {Reference} image @param {string} text @param {HTMLImageElement} picture @returns {Promise<Why>} */
function ask({ client, step }, image, text, picture) {
  return client.robust(async (link) => {
    await client.encode(link, image);
    const { naturalWidth: width, naturalHeight: height } = picture;
    return link.ask("explain", { key: image.key, text, phrases: step.tokens.map(bare), width, height }, { quiet: client.patience });
  });
}

/** Opens what counted in the present search. @param {Search} search */
export async function why(search) {
  const { t, view, step, steps } = search;
  const { reference } = step;
  if (!reference || !steps.text) return;
  const root = /** @type {ShadowRoot} */ (view.out.getRootNode());
  wear(root, dialog);
  wear(root, css);
  const node = view.peek;
  const image = h("img", { src: reference.image, alt: "", draggable: false });
  const picture = h("div.heat", { role: "img", "aria-label": reference.title }, image);
  const said = h("p.told", { role: "status" }, t("whyWait"));
  const beside = h("div", {}, said);
  const close = h("button.round.remove", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => node.close() }, icon("close"));
  node.setAttribute("aria-label", t("whyTitle"));
  node.replaceChildren(close, h("div.why", {}, h("h2", {}, t("whyTitle")), picture, beside));
  node.showModal();
  close.focus({ preventScroll: true });
  try {
    await image.decode();
    const found = await ask(search, reference, steps.text, image);
    if (!node.open || !node.contains(picture)) return;
    const { canvas, show } = stage(image, found);
    picture.append(canvas);
    picture.classList.add("told");
    const [where, words] = told(t, found);
    picture.setAttribute("aria-label", `${reference.title}. ${where} ${words}`);
    // The words are on their buttons for those who see them.
    const whole = () => [where, h("span.sr", {}, ` ${words}`)];
    said.replaceChildren(...whole());
    const turn = (/** @type {?WhyPart} */ part) => {
      show(part?.grid ?? found.grid);
      said.replaceChildren(...(part ? [t("whyRead", { word: bare(part.text), place: t(PLACES[part.place]) })] : whole()));
    };
    beside.replaceChildren(...weights(t, found, turn).filter((one) => one !== null), said, h("p.fine", {}, t("whyHint")));
  } catch (reason) {
    if (!node.contains(picture)) return;
    node.close();
    search.fail(reason, true);
  }
}
