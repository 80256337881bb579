// The bundle's index as the loader reads it: which files it names, and what the page may know before the engine is there.

import { wordsWork } from "../element/measured.js";
import { storage } from "./parts.js";
import { within } from "./steady.js";

/** ms that a server has for the index when a stored one is there. */
const PATIENCE = 4000;

/** The stored index. @param {string} url */
export async function kept(url) {
  return (await (await storage())?.match(url))?.text();
}

/** Most bytes of an index: the engine's own limit. */
const LONGEST = 4 << 20;

/**
 * A body's text, or nothing where it is longer than an index can be.
 * @param {Response} answer
 */
async function short({ body }) {
  const reader = body?.getReader();
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  for (let size = 0; reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.byteLength;
    if (size > LONGEST) {
      await reader.cancel();
      return null;
    }
  }
  return await new Blob(parts).text();
}

/**
 * The text of the bundle's index: from the network, or the stored one where the server does not answer in time. None
 * where there is neither; the engine then asks again and says what is wrong.
 * @param {string} url
 */
export async function announced(url) {
  const old = await kept(url);
  try {
    const answer = await within(fetch(url, { cache: "no-store" }), old ? PATIENCE : 15_000);
    if (answer.ok) return await within(short(answer), PATIENCE);
    return answer.status >= 500 ? (old ?? null) : null;
  } catch {
    return old ?? null;
  }
}

/** A text of the index for people; nothing where it is something else. @param {unknown} text */
const line = (text) => (typeof text === "string" ? text : "");

/**
 * What an index promises: its files, whether new images can be read, whether words alone are worth offering, and what it says
 * of model and pictures. Nothing
 * where it is unreadable (the engine says why).
 * @param {?string} text
 * @param {string} bundle
 */
export function promised(text, bundle) {
  /** @type {Map<string, number>} */
  const files = new Map();
  try {
    const { weights, vocab, gallery, form, measured, understands } = JSON.parse(text ?? "");
    for (const { path, bytes } of [...weights, vocab, ...gallery.chunks, ...gallery.metadata]) files.set(new URL(path, bundle).href, bytes);
    const about = { understands: line(understands), licence: line(gallery.licence), title: line(gallery.title) };
    return { files, upload: form !== "gallery-reference", words: wordsWork(measured), about };
  } catch {
    return { files: new Map(), upload: undefined, words: true, about: { understands: "", licence: "", title: "" } };
  }
}
