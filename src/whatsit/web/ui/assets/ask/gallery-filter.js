/** Which entries are shown, in which order, and how that is written as a link. */

import { fold } from "./gallery-entry.js";

export const SORTS = ["arrival", "name", "label", "score", "score-low"];
export const CERTAINTIES = ["sure", "probably", "unsure", "unrecognised"];
export const LEVELS = ["class", "group"];
export const STATES = ["corrected", "confirmed", "refused", "waiting"];
const FACETS = { label: null, certainty: CERTAINTIES, level: LEVELS, state: STATES };
const MOST_LABELS = 50;

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
  return Object.keys(FACETS).reduce((sum, facet) => sum + filter[facet].length, 0);
}

/**
 * A filter with one value of a facet switched.
 * @param {Filter} filter
 * @param {"label"|"certainty"|"level"|"state"} facet
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
  for (const facet of Object.keys(FACETS)) {
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
  for (const [facet, known] of Object.entries(FACETS)) {
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
 * @param {import("./gallery-entry.js").Entry} entry
 * @param {string} facet
 * @returns {string|null}
 */
function valueOf(entry, facet) {
  if (facet === "state") return entry.state === "asking" ? "waiting" : entry.state;
  return entry[facet];
}

function fits(entry, filter, words, except) {
  if (!words.every((word) => entry.haystack.includes(word))) return false;
  return Object.keys(FACETS).every(
    (facet) =>
      facet === except ||
      filter[facet].length === 0 ||
      filter[facet].includes(valueOf(entry, facet)),
  );
}

const wordsOf = (filter) => fold(filter.text).split(/\s+/).filter(Boolean);

/**
 * The entries that a filter lets through, in its order. Ties keep the order of arrival.
 * @param {import("./gallery-entry.js").Entry[]} entries In order of arrival.
 * @param {Filter} filter
 * @param {Intl.Collator} collator
 * @returns {import("./gallery-entry.js").Entry[]}
 */
export function arrange(entries, filter, collator) {
  const words = wordsOf(filter);
  const shown = entries.filter((entry) => fits(entry, filter, words, null));
  const byText = (key) => (a, b) =>
    Number(a[key] === "") - Number(b[key] === "") || collator.compare(a[key], b[key]);
  const byScore = (sign) => (a, b) =>
    Number(a.score === null) - Number(b.score === null) || sign * ((a.score ?? 0) - (b.score ?? 0));
  const orders = {
    name: byText("path"),
    label: byText("name"),
    score: byScore(-1),
    "score-low": byScore(1),
  };
  return filter.sort in orders ? shown.sort(orders[filter.sort]) : shown;
}

/**
 * How many entries each value of each facet would show beside the filter's other facets.
 * @param {import("./gallery-entry.js").Entry[]} entries
 * @param {Filter} filter
 * @returns {Record<string, Map<string, number>>}
 */
export function countFacets(entries, filter) {
  const words = wordsOf(filter);
  const counts = {};
  for (const facet of Object.keys(FACETS)) {
    const found = new Map();
    for (const entry of entries) {
      const value = valueOf(entry, facet);
      if (value && fits(entry, filter, words, facet)) found.set(value, (found.get(value) ?? 0) + 1);
    }
    counts[facet] = found;
  }
  return counts;
}
