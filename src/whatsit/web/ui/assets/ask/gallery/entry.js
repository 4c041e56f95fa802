/** What the gallery needs to know of an item, worked out once per change. */

import { nameOf } from "../i18n.js";
import { labelOf, pathOf } from "../item.js";

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {import("../item.js").Item} item The page's item, never a copy.
 * @property {number} order Place in the order of arrival.
 * @property {string} path Folder and name, with slashes.
 * @property {string} label What the picture is held to show, in English; "" where nothing is claimed.
 * @property {string} name The same in the person's language.
 * @property {string|null} wnid Of `label`.
 * @property {string} said What the model said, in the person's language; "" without an answer.
 * @property {number|null} score
 * @property {"sure"|"probably"|"unsure"|"unrecognised"|null} certainty
 * @property {"class"|"group"|null} level
 * @property {"waiting"|"asking"|"refused"|"answered"|"confirmed"|"corrected"} state
 * @property {string} haystack Everything a text is searched in, folded.
 */

/**
 * Text in the form in which it is compared: lower case, without accents.
 * @param {string} text
 * @returns {string}
 */
export function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * @param {import("../item.js").Item} item
 * @returns {Entry["state"]}
 */
function stateOf(item) {
  if (item.state !== "done" || !item.reply) return item.state === "done" ? "asking" : item.state;
  const verdict = item.reply.correction?.verdict;
  if (!verdict) return "answered";
  return verdict === "right" ? "confirmed" : "corrected";
}

/**
 * Work out what is shown, searched and sorted of an item.
 * @param {import("../item.js").Item} item
 * @param {number} order Place in the order of arrival.
 * @returns {Entry}
 */
export function describe(item, order) {
  const answer = item.reply?.answer ?? null;
  const held = labelOf(item);
  const path = pathOf(item);
  const name = held ? nameOf(held) : "";
  const said = answer ? nameOf(answer) : "";
  const groups = (answer?.path ?? []).flatMap((label) => [label, nameOf({ wnid: null, label })]);
  const searched = [path, held?.label ?? "", name, answer?.label ?? "", said, ...groups];
  return {
    id: item.id,
    item,
    order,
    path,
    label: held?.label ?? "",
    wnid: held?.wnid ?? null,
    name,
    said,
    score: answer?.score ?? null,
    certainty: answer && (answer.recognised === false ? "unrecognised" : answer.certainty),
    level: answer?.level ?? null,
    state: stateOf(item),
    haystack: fold(searched.join("\n")),
  };
}
