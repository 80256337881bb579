// What goes wrong, shown with its ways out.

import { ThisButError } from "./errors.js";
import { heading } from "./paint.js";
import { sentences } from "./parts.js";
import { known } from "./strings.js";

/** @import { How } from "../types.js" */
/** @import { Search } from "./search.js" */

/** Kinds that say that a question is no longer wanted: nobody is told of them. */
const QUIET = ["closed", "superseded"];
/** Kinds that concern one picture alone. */
const ONE_PICTURE = ["reference", "unreachable", "picture"];

/**
 * Shows and tells what went wrong.
 * @param {Search} search
 * @param {unknown} reason
 * @param {boolean} keep the present answer is still one
 */
export function fail(search, reason, keep) {
  let error = ThisButError.from(reason);
  if (!search.view || QUIET.includes(error.kind)) return;
  if (error.kind === "network" && navigator.onLine === false) error = new ThisButError("network", { key: "error.offline", detail: error.detail });
  // An address that leads to no picture is given up.
  if (error.kind === "query") search.place = null;
  if (known(error.key)) return show(search, error, keep);
  const { asked, chosen } = search;
  sentences().then(() => asked === search.asked && chosen === search.chosen && search.view && show(search, error, keep));
}

/** @param {Search} search @param {ThisButError} error @param {boolean} keep */
function show(search, error, keep) {
  const { out, grid, scores, link } = search.view;
  search.view.error.show(error);
  search.calm();
  if (ONE_PICTURE.includes(error.kind) && grid.items.length) {
    // Only this one picture failed: those that are shown are the way on.
    search.chips();
    heading(search.view, search.t, search.t("pick"), null);
    grid.node.setAttribute("aria-label", search.t("pick"));
    scores.hidden = link.hidden = true;
    out.classList.remove("ranked");
  } else if (error.kind !== "image" && !keep) {
    // Old pictures are no answer to a new question.
    Object.assign(search.step, { hits: null, answered: null });
    grid.clear();
    out.hidden = true;
  }
  search.host.emit("error", { kind: error.kind, message: error.sentences(search.t).what, detail: error.detail }, { bubbles: false });
}

/** What a way out of an error does. @param {Search} search @param {string} way */
export async function act(search, way) {
  search.view.error.show(null);
  if (way === "otherImage") return search.view.slot.open();
  if (way === "reload") return location.reload();
  /** @type {Record<string, How>} */
  const hows = { fresh: { fresh: true }, useCpu: { device: "cpu" } };
  await search.answer(hows[way]).catch(() => {});
}
