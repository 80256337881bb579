// A part of the reference: a box on it, by pointer, finger or keys; the engine gets what is inside. Fetched when somebody asks for it.

import { h, icon, wear } from "../dom.js";
import { fromFile } from "../reference.js";
import { css as dialog } from "./peek.js";

/** @import { Box, Pixels, Reference } from "../../types.js" */
/** @import { Search } from "../search.js" */

const css = `
.stage { position: relative; inline-size: fit-content; max-inline-size: 100%; margin-inline: auto; touch-action: none; cursor: crosshair; background: var(--_tile); }
.stage > img { display: block; max-inline-size: 100%; max-block-size: min(58dvh, 560px); min-inline-size: min(240px, 60vw); object-fit: contain; user-select: none; }
.shade { position: absolute; inset: 0; overflow: hidden; pointer-events: none; }
.shade i { box-shadow: 0 0 0 200vmax rgb(20 16 12 / .55); }
.part, .shade i { position: absolute; inset-block-start: calc(var(--y) * 100%); inset-inline-start: calc(var(--x) * 100%); inline-size: calc(var(--w) * 100%); block-size: calc(var(--h) * 100%); }
.part { outline: 2px solid #fff; outline-offset: -1px; cursor: move; }
.part:focus-visible { outline: 3px solid var(--_accent); }
.corner { position: absolute; inline-size: 44px; block-size: 44px; margin: -22px; touch-action: none; }
.corner::after { content: ""; position: absolute; inset: 14px; border-radius: 50%; background: #fff; border: 1px solid rgb(20 16 12 / .5); }
.corner:focus-visible { outline: 0; }
.corner:focus-visible::after { outline: 3px solid var(--_accent); outline-offset: 2px; }
.peek .said { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 16px; margin-block: 12px; color: var(--_soft); font-size: .875rem; }
.peek output { font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (forced-colors: active) { .part, .corner::after { outline: 2px solid Highlight; forced-color-adjust: none; } }
`;

/** Least side of a part, and how far a key moves it. */
const LEAST = 0.06;
const STEP = 0.02;
const WHOLE = { x: 0, y: 0, w: 1, h: 1 };
/** Corners by name: whether they move the left and the top side. @type {[boolean, boolean][]} */
const CORNERS = [[true, true], [false, true], [false, false], [true, false]];
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const within = (/** @type {number} */ value, /** @type {number} */ least, /** @type {number} */ most) => Math.max(least, Math.min(most, value));

/** The box elsewhere. @param {Box} box @param {number} dx @param {number} dy @returns {Box} */
const moved = ({ x, y, w, h }, dx, dy) => ({ x: within(x + dx, 0, 1 - w), y: within(y + dy, 0, 1 - h), w, h });

/** The box with a corner elsewhere. @param {Box} box @param {[boolean, boolean]} corner @param {number} dx @param {number} dy @returns {Box} */
function pulled({ x, y, w, h }, [left, top], dx, dy) {
  const [right, bottom] = [x + w, y + h];
  const x1 = left ? within(x + dx, 0, right - LEAST) : x;
  const y1 = top ? within(y + dy, 0, bottom - LEAST) : y;
  const x2 = left ? right : within(right + dx, x + LEAST, 1);
  const y2 = top ? bottom : within(bottom + dy, y + LEAST, 1);
  return { x: x1, y: y1, w: x2 - x1, h: y2 - y1 };
}

/** The pixels of a part, at least one. @param {Box} box @param {{width: number, height: number}} size */
export function pixelsOf({ x, y, w, h }, { width, height }) {
  const [left, top] = [Math.min(width - 1, Math.round(x * width)), Math.min(height - 1, Math.round(y * height))];
  return { left, top, wide: within(Math.round(w * width), 1, width - left), high: within(Math.round(h * height), 1, height - top) };
}

/** @param {Pixels} pixels @param {Box} box @returns {Promise<Blob>} */
function cut({ width, height, rgba }, box) {
  const { left, top, wide, high } = pixelsOf(box, { width, height });
  const canvas = Object.assign(document.createElement("canvas"), { width: wide, height: high });
  canvas.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), -left, -top);
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture of the part")))));
}

/** The part as an image of its own; the whole is kept for the way back. @param {Reference} whole @param {Box} box @returns {Promise<Reference>} */
async function partOf(whole, box) {
  const blob = await cut(await whole.pixels(), box);
  const part = await fromFile(blob, `${whole.title}.png`, whole.title, URL.createObjectURL(blob));
  return { ...part, key: `part:${part.key}`, soft: whole.soft, whole, box };
}

/**
 * The box on its picture: `state.box` is where it is.
 * @param {Search["t"]} t @param {Reference} whole @param {Box} from
 */
function stage(t, whole, from) {
  const state = { box: from };
  /** @type {Box[]} */
  const past = [];
  const size = h("output", { "aria-live": "polite" });
  const undo = h("button.quiet", { type: "button", disabled: true, onclick: () => back() }, icon("back"), t("undo"));
  const image = h("img", { src: whole.image, alt: "", draggable: false, onload: () => show() });
  const corners = CORNERS.map((corner, at) => {
    const node = h("button.corner", { type: "button", "aria-label": t("cropCorner", { n: at + 1 }) });
    node.style.inset = `${corner[1] ? "0" : "auto"} ${corner[0] ? "auto" : "0"} ${corner[1] ? "auto" : "0"} ${corner[0] ? "0" : "auto"}`;
    return node;
  });
  const part = h("div.part", { role: "group", tabindex: "0", "aria-label": t("cropBox"), "aria-describedby": "crop-hint" }, ...corners);
  const node = h("div.stage", { dir: "ltr" }, image, h("div.shade", {}, h("i")), part);
  const show = () => {
    for (const name of /** @type {const} */ (["x", "y", "w", "h"])) node.style.setProperty(`--${name}`, String(state.box[name]));
    const { wide, high } = pixelsOf(state.box, { width: image.naturalWidth || 1, height: image.naturalHeight || 1 });
    size.textContent = image.naturalWidth ? t("cropSize", { wide, high }) : "";
    undo.disabled = !past.length;
  };
  const keep = () => past.push(state.box);
  const set = (/** @type {Box} */ box) => ((state.box = box), show());
  const back = () => set(past.pop() ?? state.box);
  const corner = (/** @type {EventTarget | null} */ target) => CORNERS[corners.indexOf(/** @type {HTMLButtonElement} */ (target))];

  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    // Later, events say that their target is the element itself.
    const { target } = event;
    const { left, top, width, height } = node.getBoundingClientRect();
    const at = (/** @type {PointerEvent} */ { clientX, clientY }) => [within((clientX - left) / width, 0, 1), within((clientY - top) / height, 0, 1)];
    const [x, y] = at(event);
    keep();
    const pull = corner(target);
    const begun = pull || target === part ? state.box : { x: within(x, 0, 1 - LEAST), y: within(y, 0, 1 - LEAST), w: LEAST, h: LEAST };
    const drag = (/** @type {PointerEvent} */ now) => {
      const [dx, dy] = at(now).map((value, axis) => value - (axis ? y : x));
      set(pull ? pulled(begun, pull, dx, dy) : target === part ? moved(begun, dx, dy) : drawn(x, y, x + dx, y + dy));
    };
    node.setPointerCapture(event.pointerId);
    node.addEventListener("pointermove", drag);
    for (const over of ["pointerup", "pointercancel"]) node.addEventListener(over, () => node.removeEventListener("pointermove", drag), { once: true });
    /** @type {HTMLElement} */ (pull ? target : part).focus({ preventScroll: true });
    event.preventDefault();
  });
  node.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) return event.preventDefault(), back();
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const [dx, dy] = arrow.map((way) => way * STEP);
    const pull = corner(event.target) ?? (event.shiftKey ? CORNERS[2] : null);
    keep();
    set(pull ? pulled(state.box, pull, dx, dy) : moved(state.box, dx, dy));
  });
  show();
  return { state, node, size, undo, part };
}

/** A box between two points. @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @returns {Box} */
function drawn(x1, y1, x2, y2) {
  const [w, h] = [Math.max(LEAST, Math.abs(x2 - x1)), Math.max(LEAST, Math.abs(y2 - y1))];
  return { x: within(Math.min(x1, x2), 0, 1 - w), y: within(Math.min(y1, y2), 0, 1 - h), w, h };
}

/** Opens the reference with a box on it. @param {Search} search */
export function crop(search) {
  const { t, view, step } = search;
  const { reference } = step;
  if (!reference) return;
  const root = /** @type {ShadowRoot} */ (view.out.getRootNode());
  wear(root, dialog);
  wear(root, css);
  const whole = reference.whole ?? reference;
  const node = view.peek;
  const { state, node: box, size, undo, part } = stage(t, whole, reference.box ?? { x: 0.1, y: 0.1, w: 0.8, h: 0.8 });
  const take = (/** @type {Reference} */ image) => {
    const { tokens, draft } = search.step;
    search.refer(image, { tokens, draft }).catch(() => {});
  };
  const use = async () => {
    node.close();
    const turn = ++search.chosen;
    try {
      const image = Object.values(state.box).every((value, at) => value === Object.values(WHOLE)[at]) ? whole : await partOf(whole, state.box);
      if (turn === search.chosen && search.view) take(image);
      else if (image !== whole) URL.revokeObjectURL(image.image);
    } catch (reason) {
      if (turn === search.chosen) search.fail(reason, true);
    }
  };
  const all = () => {
    node.close();
    if (reference.whole) take(whole);
  };
  node.setAttribute("aria-label", t("crop"));
  node.replaceChildren(
    h("button.round.remove", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => node.close() }, icon("close")),
    box,
    h("p.said", {}, h("span", { id: "crop-hint" }, t("cropHint")), size),
    h("div.actions", {}, h("button.solid", { type: "button", onclick: use }, t("cropUse")), h("button.quiet", { type: "button", onclick: all }, icon("image"), t("cropWhole")), undo),
  );
  node.showModal();
  part.focus({ preventScroll: true });
}
