/** Pictures as this browser sees them: found in what was dropped, and made small. */

import { isStrewn } from "./strewn.js";

const SUFFIX = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;
const THUMBNAIL_PIXELS = 320;

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
  const found = [...files].map((file) => ({ file, folder: folderOf(file.webkitRelativePath ?? "") }));
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
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, folder: "" });
    else if (entry !== null) await walk(entry, "", found);
  }
  return withoutStrewn(found);
}

/**
 * A small copy, upright and without metadata.
 *
 * @param {Blob} blob
 * @returns {Promise<Blob|null>} null where this browser can't draw the picture.
 */
export async function makeThumbnail(blob) {
  try {
    const whole = await createImageBitmap(blob, {
      resizeWidth: THUMBNAIL_PIXELS,
      resizeQuality: "medium",
    });
    const scale = Math.min(1, (THUMBNAIL_PIXELS * 2) / whole.height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(whole.width * scale));
    canvas.height = Math.max(1, Math.round(whole.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(whole, 0, 0, canvas.width, canvas.height);
    whole.close();
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.82));
  } catch {
    return null;
  }
}

async function walk(entry, folder, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file !== null && (folder === "" || looksLikePicture(file))) found.push({ file, folder });
    return;
  }
  const reader = entry.createReader();
  const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
  // A reader hands out a folder in parts, and ends with an empty one.
  for (;;) {
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (part.length === 0) return;
    for (const inner of part) if (!isStrewn(inner.name)) await walk(inner, path, found);
  }
}

/** The folder that a person chose may be called anything, and so may a file chosen alone. */
function withoutStrewn(found) {
  const kept = found.filter(({ file, folder }) => {
    const inner = folder === "" ? [] : folder.split("/").slice(1);
    return ![...inner, file.name].some(isStrewn);
  });
  return kept.length > 0 || found.some(({ folder }) => folder !== "") ? kept : found;
}

function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}
