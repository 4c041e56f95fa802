/** Answers as files: a table, a document for programs, and sidecars for photo programs. */

import { t } from "../i18n.js";
import { pathOf } from "../item.js";
import { keywordsOf, toXmp } from "./sidecar.js";
import { packZip } from "./zip.js";

const REVOKE_AFTER_MILLISECONDS = 30_000;
/** @typedef {import("../item.js").Item} Item */

/** The folder that everything of an archive lies in. */
const SIDECARS = "whatsit-keywords";

/** @type {Record<string, (item: Item) => string | number | boolean | null | undefined>} */
const COLUMNS = {
  folder: (item) => item.folder,
  name: (item) => item.name,
  state: (item) => item.state,
  label: (item) => item.reply?.answer.label,
  wnid: (item) => item.reply?.answer.wnid,
  score: (item) => item.reply?.answer.score,
  certainty: (item) => item.reply?.answer.certainty,
  recognised: (item) => item.reply?.answer.recognised,
  level: (item) => item.reply?.answer.level,
  path: (item) => item.reply?.answer.path?.join(" > "),
  sentence: (item) => item.reply?.answer.text,
  correction: (item) => item.reply?.correction?.verdict,
  corrected_label: (item) => item.reply?.correction?.label,
  corrected_wnid: (item) => item.reply?.correction?.wnid,
  problem: (item) => item.problem?.code,
  problem_detail: (item) => item.problem?.detail,
  width: (item) => item.reply?.image?.width,
  height: (item) => item.reply?.image?.height,
  format: (item) => item.reply?.image?.format,
  sha256: (item) => item.reply?.image?.sha256 ?? item.sha256,
  at: (item) => (item.at ? new Date(item.at).toISOString() : ""),
};

/**
 * A value as it stands in a table.
 *
 * Spreadsheets run what begins like a formula; an apostrophe makes it text again.
 *
 * @param {string | number | boolean | null | undefined} value
 */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = /^\s*[=+\-@\t\r\n＝＋－＠]/u.test(value) ? `'${value}` : value;
  return `"${text.replaceAll('"', '""')}"`;
}

/**
 * A table, one line per picture, that spreadsheets open as it is: RFC 4180, UTF-8 with a mark.
 * @param {Item[]} items
 * @returns {string}
 */
export function toCsv(items) {
  const columns = Object.values(COLUMNS);
  const lines = items.map((item) => columns.map((read) => cell(read(item))).join(","));
  return `\ufeff${[Object.keys(COLUMNS).join(","), ...lines].join("\r\n")}\r\n`;
}

/**
 * A JSON array with the service's own words for each picture.
 * @param {Item[]} items
 * @returns {string}
 */
export function toJson(items) {
  const documents = items.map((item) => ({
    name: item.name,
    folder: item.folder ?? "",
    answer: item.reply?.answer ?? null,
    top: item.reply?.top ?? [],
    image: item.reply?.image ?? null,
    correction: item.reply?.correction ?? null,
    problem: item.problem ?? null,
  }));
  return `${JSON.stringify(documents, null, 2)}\n`;
}

/**
 * A ZIP of `name.jpg.xmp` for each `name.jpg`, with the folders of the pictures below one of its
 * own: unpacked among the pictures it replaces nothing, such as the files of the same name in which
 * darktable keeps its edits. A text says how to copy them beside the pictures.
 * @param {Item[]} items
 * @returns {{archive: Blob, written: number, left: number}} How many got one, and how many were
 *   left out because their answers are not certain.
 */
export function toSidecars(items) {
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  const files = [];
  for (const item of items) {
    const keywords = keywordsOf(item);
    if (keywords.length === 0) continue;
    const bytes = encode(toXmp(keywords, item.at || Date.now()));
    files.push({ path: `${SIDECARS}/${pathOf(item)}.xmp`, bytes });
  }
  const readMe = encode(`${t("gallery.export.read_me")}\n`);
  const archive = packZip([...files, { path: `${SIDECARS}/READ-ME.txt`, bytes: readMe }]);
  return { archive, written: files.length, left: items.length - files.length };
}

/**
 * Let the browser save a file. Its address is given up once the browser had time to read it.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), REVOKE_AFTER_MILLISECONDS);
}
