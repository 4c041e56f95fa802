/** Pictures in what was dropped, pasted or chosen. */

import { isStrewn } from "./strewn.js";

const SUFFIX = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

/**
 * @typedef {{file: File, folder: string}} Found A file, and the folder it lay in ("" for none).
 */

/**
 * Whether a file of a folder is worth asking about; what a person chose by hand always is.
 *
 * @param {File} file
 * @returns {boolean}
 */
export function looksLikePicture(file) {
  return file.type.startsWith("image/") ? !file.type.includes("svg") : SUFFIX.test(file.name);
}

/**
 * The files of a picker, and of whole folders only the pictures. What systems strew is passed over,
 * unless it is all there is: then somebody wants to know about it.
 *
 * @param {Iterable<File>} files
 * @returns {Found[]}
 */
export function fromPicker(files) {
  const found = [...files].map((file) => ({
    file,
    folder: folderOf(file.webkitRelativePath ?? ""),
  }));
  return withoutStrewn(found).filter(({ file, folder }) => folder === "" || looksLikePicture(file));
}

/**
 * The pictures on a clipboard.
 *
 * @param {DataTransfer} clipboard
 * @returns {Found[]}
 */
export function fromClipboard(clipboard) {
  return [...clipboard.files]
    .filter((file) => file.type.startsWith("image/"))
    .map((file) => ({ file, folder: "" }));
}

/**
 * Everything that was dropped, folders walked through.
 *
 * @param {DataTransfer} dropped Read at once: it is empty after the event.
 * @returns {Promise<Found[]>}
 */
export async function fromDrop(dropped) {
  const entries = [...dropped.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  /** @type {Found[]} */
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, folder: "" });
    else if (entry !== null) await walk(entry, "", found);
  }
  return withoutStrewn(found);
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} folder
 * @param {Found[]} found Gets what is in it.
 */
async function walk(entry, folder, found) {
  if (isFile(entry)) {
    /** @type {File | null} */
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file !== null && (folder === "" || looksLikePicture(file))) found.push({ file, folder });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
  // A reader hands out a folder in parts, and ends with an empty one.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (part.length === 0) return;
    for (const inner of part) if (!isStrewn(inner.name)) await walk(inner, path, found);
  }
}

/**
 * @param {FileSystemEntry} entry
 * @returns {entry is FileSystemFileEntry}
 */
function isFile(entry) {
  return entry.isFile;
}

/**
 * The folder that a person chose may be called anything, and so may a file chosen alone.
 *
 * @param {Found[]} found
 */
function withoutStrewn(found) {
  const kept = found.filter(({ file, folder }) => {
    const inner = folder === "" ? [] : folder.split("/").slice(1);
    return ![...inner, file.name].some(isStrewn);
  });
  return kept.length > 0 || found.some(({ folder }) => folder !== "") ? kept : found;
}

/** @param {string} path */
function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}
