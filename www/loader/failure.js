// What the loader reports when something cannot be had: the shape of web/src/error.rs.

/** @import { Failure } from "../types.js" */

/** @param {string} kind a key of element/strings.js @param {string} message @returns {Failure} */
export const failure = (kind, message, mend = "") => ({ kind, message, mend });
