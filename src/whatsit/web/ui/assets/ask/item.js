/** A picture on the page: what came in, and what became of it. */

/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string} name Of the file.
 * @property {Blob | null} blob null where only the answer is here.
 * @property {string} [url] Where the server is to fetch the picture.
 * @property {string} folder With slashes; "" for none.
 * @property {number} at When it came, then when it was answered, in milliseconds of the epoch.
 * @property {string | null} thumbnail An address of the page's own.
 * @property {Blob | null} [small] What `thumbnail` shows; undefined until it is made.
 * @property {string | null} sha256
 * @property {"waiting" | "asking" | "done" | "refused"} state
 * @property {import("./api.js").Reply | null} reply
 * @property {ProblemFacts | null} problem
 * @property {boolean} [isRemembered] Whether it was given to the history.
 */

/** @typedef {{status: number, code: string, detail: string}} ProblemFacts Why there is no answer. */

let items = 0;

/**
 * An item that waits for its answer.
 *
 * @param {string} name
 * @param {Blob | null} blob
 * @param {string} [folder]
 * @returns {Item}
 */
export function newItem(name, blob, folder = "") {
  items += 1;
  return {
    id: `picture-${items}`,
    name,
    blob,
    folder,
    at: Date.now(),
    thumbnail: null,
    sha256: null,
    state: "waiting",
    reply: null,
    problem: null,
  };
}

/**
 * The digest of the picture, by which the server knows it.
 *
 * @param {Item} item
 * @returns {string | null}
 */
export function digestOf(item) {
  return item.sha256 ?? item.reply?.image?.sha256 ?? null;
}

/**
 * Folder and name, joined by slashes.
 *
 * @param {{name: string, folder?: string | null}} item
 * @returns {string}
 */
export function pathOf({ name, folder }) {
  const trimmed = (folder ?? "").replace(/\/+$/, "");
  return trimmed ? `${trimmed}/${name}` : name;
}

/**
 * The label that holds for an item, a correction before the model's answer.
 *
 * @param {Item} item
 * @returns {import("./i18n.js").Named | null} null where nothing is claimed.
 */
export function labelOf({ reply }) {
  if (!reply?.answer) return null;
  const { answer, correction } = reply;
  if (correction?.verdict === "none") return null;
  if (correction?.verdict === "other") {
    return { label: correction.label ?? "", wnid: correction.wnid ?? null };
  }
  if (!answer.recognised && correction?.verdict !== "right") return null;
  return { label: answer.label, wnid: answer.wnid ?? null };
}

/**
 * Whether the answer names something that can be right.
 *
 * @param {Item} item
 * @returns {boolean}
 */
export function isNamed({ reply }) {
  const answer = reply?.answer;
  return Boolean(answer?.label && answer.recognised !== false && answer.certainty !== "unsure");
}
