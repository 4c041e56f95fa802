/** Which entries are shown, in which order, and how that is written as a link. */

import { fold } from "./entry.js";

export const SORTS = ["arrival", "name", "label", "score", "score-low"];
export const CERTAINTIES = ["sure", "probably", "unsure", "unrecognised"];
export const LEVELS = ["class", "group"];
export const STATES = ["corrected", "confirmed", "refused", "waiting"];
/** @type {Record<Facet, string[] | null>} The values of each; null where there are any. */
const FACETS = { label: null, certainty: CERTAINTIES, level: LEVELS, state: STATES };
const FACET_NAMES = /** @type {Facet[]} */ (Object.keys(FACETS));
const MOST_LABELS = 50;

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {"label" | "certainty" | "level" | "state"} Facet */

/**
 * @typedef {object} Filter
 * @property {string} text Every word of it must be found.
 * @property {string[]} label One of them, if there are any; so for the following.
 * @property {string[]} certainty
 * @property {string[]} level
 * @property {string[]} state
 * @property {string} sort
 * @property {number} page From 1.
 */

/**
 * A filter that lets everything through.
 * @returns {Filter}
 */
export function emptyFilter() {
  return { text: "", label: [], certainty: [], level: [], state: [], sort: "arrival", page: 1 };
}

/**
 * Whether a filter holds anything back.
 * @param {Filter} filter
 * @returns {boolean}
 */
export function isActive(filter) {
  return filter.text.trim() !== "" || countChosen(filter) > 0;
}

/**
 * How many chips are pressed.
 * @param {Filter} filter
 * @returns {number}
 */
export function countChosen(filter) {
  return FACET_NAMES.reduce((sum, facet) => sum + filter[facet].length, 0);
}

/**
 * A filter with one value of a facet switched.
 * @param {Filter} filter
 * @param {Facet} facet
 * @param {string} value
 * @returns {Filter} On its first page.
 */
export function toggled(filter, facet, value) {
  const chosen = filter[facet];
  const next = chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value];
  return { ...filter, [facet]: next, page: 1 };
}

/**
 * A filter as the query part of a link; "" for one that lets everything through.
 * @param {Filter} filter
 * @returns {string}
 */
export function formatFilter(filter) {
  const query = new URLSearchParams();
  if (filter.text.trim()) query.set("q", filter.text.trim());
  for (const facet of FACET_NAMES) {
    for (const value of filter[facet]) query.append(facet, value);
  }
  if (filter.sort !== "arrival") query.set("sort", filter.sort);
  if (filter.page > 1) query.set("page", String(filter.page));
  return query.toString();
}

/**
 * Read a filter back; what is unknown or impossible in it is left out.
 * @param {string} text
 * @returns {Filter}
 */
export function parseFilter(text) {
  const query = new URLSearchParams(text);
  const filter = emptyFilter();
  filter.text = (query.get("q") ?? "").slice(0, 200);
  for (const facet of FACET_NAMES) {
    const known = FACETS[facet];
    const values = [...new Set(query.getAll(facet))].filter((one) => one && one.length <= 200);
    filter[facet] = values.filter((one) => !known || known.includes(one)).slice(0, MOST_LABELS);
  }
  const sort = query.get("sort") ?? "";
  if (SORTS.includes(sort)) filter.sort = sort;
  const page = query.get("page") ?? "";
  if (/^[1-9]\d{0,5}$/.test(page)) filter.page = Number(page);
  return filter;
}

/**
 * The value of a facet that an entry has.
 * @param {Entry} entry
 * @param {Facet} facet
 * @returns {string|null}
 */
function facetValue(entry, facet) {
  if (facet === "state") return entry.state === "asking" ? "waiting" : entry.state;
  return entry[facet];
}

/**
 * @param {Entry} entry
 * @param {Filter} filter
 * @param {string[]} words
 * @param {Facet | null} except One that is not asked.
 */
function fits(entry, filter, words, except) {
  if (!words.every((word) => entry.haystack.includes(word))) return false;
  return FACET_NAMES.every(
    (facet) =>
      facet === except ||
      filter[facet].length === 0 ||
      filter[facet].includes(facetValue(entry, facet) ?? ""),
  );
}

const wordsOf = (/** @type {Filter} */ filter) => fold(filter.text).split(/\s+/).filter(Boolean);

/**
 * The entries that a filter lets through, in its order. Ties keep the order of arrival.
 * @param {Entry[]} entries In order of arrival.
 * @param {Filter} filter
 * @param {Intl.Collator} collator
 * @returns {Entry[]}
 */
export function applyFilter(entries, filter, collator) {
  const words = wordsOf(filter);
  const shown = entries.filter((entry) => fits(entry, filter, words, null));
  const order = orderOf(filter.sort, collator);
  return order ? shown.sort(order) : shown;
}

/**
 * @param {string} sort
 * @param {Intl.Collator} collator
 * @returns {((one: Entry, other: Entry) => number) | null} What is not known stands at the end.
 */
function orderOf(sort, collator) {
  /** @param {"path" | "name"} key */
  const byText =
    (key) =>
    (/** @type {Entry} */ { [key]: one }, /** @type {Entry} */ { [key]: other }) =>
      Number(one === "") - Number(other === "") || collator.compare(one, other);
  /** @param {1 | -1} sign */
  const byScore =
    (sign) =>
    (/** @type {Entry} */ { score: one }, /** @type {Entry} */ { score: other }) =>
      Number(one === null) - Number(other === null) || sign * ((one ?? 0) - (other ?? 0));
  switch (sort) {
    case "name":
      return byText("path");
    case "label":
      return byText("name");
    case "score":
      return byScore(-1);
    case "score-low":
      return byScore(1);
    default:
      return null;
  }
}

/**
 * How many entries each value of each facet would show beside the filter's other facets.
 * @param {Entry[]} entries
 * @param {Filter} filter
 * @returns {Record<Facet, Map<string, number>>}
 */
export function countFacets(entries, filter) {
  const words = wordsOf(filter);
  const count = (/** @type {Facet} */ facet) => {
    /** @type {Map<string, number>} */
    const found = new Map();
    for (const entry of entries) {
      const value = facetValue(entry, facet);
      if (value && fits(entry, filter, words, facet)) found.set(value, (found.get(value) ?? 0) + 1);
    }
    return found;
  };
  return {
    label: count("label"),
    certainty: count("certainty"),
    level: count("level"),
    state: count("state"),
  };
}
