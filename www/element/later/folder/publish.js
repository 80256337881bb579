// The visitor's pictures as a bundle for a site: the model's own files, the gallery that the engine writes, and the small pictures.

import { ThisButError } from "../../errors.js";
import { Archive } from "./zip.js";

/** @import { Client } from "../../client.js" */
/** @typedef {import("./folder.js").Picture} Picture */

/** @param {Blob} blob */
async function hash(blob) {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return [...sum.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A file of the shipped bundle: the stored one, if there is one. @param {string} url @returns {Promise<Blob>} */
async function shipped(url) {
  const answer = (await globalThis.caches?.match(url)) ?? (await fetch(url));
  if (!answer.ok) throw new ThisButError("network", { detail: `${url}: ${answer.status}` });
  return answer.blob();
}

/**
 * @param {Client} client
 * @param {Picture[]} pictures
 * @param {string} title of the collection
 * @param {(part: number) => void} progress from 0 to 1
 * @returns {Promise<Blob>}
 */
export async function publish(client, pictures, title, progress) {
  const archive = new Archive();
  const { bundle } = client.options;
  const written = new Set();
  /** @type {{id: string, title: string, thumb: string, width: number, height: number}[]} */
  const images = [];
  for (const [at, { path, title, thumb, width, height }] of pictures.entries()) {
    const name = `t.${await hash(thumb)}.jpg`;
    // The same small picture twice is one file.
    if (!written.has(name)) await archive.add(`bundle/thumbs/${name}`, thumb);
    written.add(name);
    images.push({ id: path, title, thumb: name, width, height });
    if (at % 50 === 0) progress((0.8 * at) / pictures.length);
  }
  const { manifest, files, shipped: names } = await client.robust((link) => link.ask("publish", { title, images }, { quiet: client.patience * 4 }));
  for (const { path, bytes } of files) await archive.add(`bundle/${path}`, new Blob([bytes]));
  for (const name of names) await archive.add(`bundle/${name}`, await shipped(new URL(name, bundle).href));
  await archive.add("bundle/bundle.json", new Blob([manifest]));
  progress(1);
  return archive.close();
}
