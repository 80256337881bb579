// What a visitor gave, as a list of pictures: folders in folders, files, and what is in a zip. Nothing is read but names.

import { entries } from "./zip.js";

/** @typedef {import("../own.js").Source} Source */

/**
 * A picture to read. `key` is the same for the same file at another visit.
 * @typedef {{path: string, key: string, open: () => Promise<Blob>, file?: File}} Entry
 */

/** What the walk meets: a picture, another file, or one that is broken. @typedef {{entry: Entry} | {other: string} | {bad: string, why: unknown}} Met */

const PICTURE = /\.(jpe?g|png|webp|gif|avif|bmp|heic|heif)$/i;
/** Files that systems put beside pictures. */
const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/;
/** Folders in folders that are followed: links may lead in circles. */
const DEEPEST = 32;

/** @param {FileSystemDirectoryEntry} folder @returns {AsyncGenerator<FileSystemEntry>} */
async function* inside(folder) {
  const reader = folder.createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    yield* some;
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));

/** @param {string} path @param {File} file @returns {AsyncGenerator<Met>} */
async function* one(path, file) {
  if (/\.zip$/i.test(path)) {
    try {
      for await (const { name, size, open } of entries(file, path)) {
        const inner = `${path}/${name}`;
        if (HIDDEN.test(name)) continue;
        if (PICTURE.test(name)) yield { entry: { path: inner, key: `${inner} ${size} ${file.lastModified}`, open } };
        else yield { other: inner };
      }
    } catch (why) {
      yield { bad: path, why };
    }
  } else if (PICTURE.test(path) || (file.type.startsWith("image/") && file.type !== "image/svg+xml")) {
    yield { entry: { path, key: `${path} ${file.size} ${file.lastModified}`, open: async () => file, file } };
  } else yield { other: path };
}

/** @param {FileSystemEntry} entry @param {number} depth @returns {AsyncGenerator<Met>} */
async function* below(entry, depth) {
  const path = entry.fullPath.replace(/^\//, "");
  if (HIDDEN.test(path)) return;
  try {
    if (entry.isFile) yield* one(path, await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
    else if (depth < DEEPEST) for await (const child of inside(/** @type {FileSystemDirectoryEntry} */ (entry))) yield* below(child, depth + 1);
  } catch (why) {
    yield { bad: path, why };
  }
}

/**
 * @param {Source[]} sources
 * @returns {AsyncGenerator<Met>}
 */
export async function* walk(sources) {
  for (const source of sources) {
    if ("isDirectory" in source) yield* below(source, 0);
    else {
      const path = source.webkitRelativePath || source.name;
      if (!HIDDEN.test(path)) yield* one(path, source);
    }
  }
}
