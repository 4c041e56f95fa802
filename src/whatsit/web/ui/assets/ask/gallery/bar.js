/** What stands above the tiles: counts, search, order and filters. */

import { nameOf, t } from "../i18n.js";
import { button, h, setAttribute, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { reconcile } from "../lib/list.js";
import * as filters from "./filter.js";

const FEW_LABELS = 8;
const TYPING_MILLISECONDS = 120;

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {import("./filter.js").Facet} Facet */
/** @typedef {{value: string, name: string, count: number, pressed: boolean}} Chip */

/**
 * @typedef {object} BarState
 * @property {Entry[]} entries
 * @property {Filter} filter
 * @property {number} shown How many the filter lets through.
 * @property {boolean} isFollowed Whether the filter comes from the address.
 * @property {boolean} isSelecting Whether a tap selects.
 */

/**
 * One group of chips, of which several can be pressed.
 *
 * @param {string} title
 * @param {(value: string) => void} onToggle
 */
function createChips(title, onToggle) {
  /** @type {Map<string, HTMLButtonElement>} */
  const made = new Map();
  const list = h("div", { class: "w-chips" });
  const element = h("div", { class: "w-facet", role: "group", "aria-label": title });
  element.append(h("span", { class: "w-facet-title", "aria-hidden": "true" }, title), list);

  /** @param {string} value */
  function chipOf(value) {
    const known = made.get(value);
    if (known) return known;
    const words = [h("span", { class: "w-chip-name" }), h("span", { class: "w-chip-count" })];
    const chip = button({ class: "w-chip", onclick: () => onToggle(value) }, ...words);
    made.set(value, chip);
    return chip;
  }

  /**
   * @param {Chip[]} chips
   * @param {HTMLElement[]} [extra] What stands behind them.
   */
  function show(chips, extra = []) {
    const wanted = chips.map(({ value, name, count, pressed }) => {
      const chip = chipOf(value);
      setText(chip.children[0], name);
      setText(chip.children[1], String(count));
      setAttribute(chip, "aria-pressed", String(pressed));
      setAttribute(chip, "data-value", value);
      return chip;
    });
    reconcile(list, [...wanted, ...extra]);
    element.hidden = wanted.length === 0;
  }
  return { element, show };
}

/**
 * The chips of a facet whose values are known, with those left out that nothing would show.
 *
 * @param {Facet} facet
 * @param {string[]} values
 * @param {Map<string, number>} counts
 * @param {string[]} chosen
 * @param {(facet: Facet, value: string) => string} nameValue
 */
function chipsOf(facet, values, counts, chosen, nameValue) {
  return values
    .map((value) => ({
      value,
      name: nameValue(facet, value),
      count: counts.get(value) ?? 0,
      pressed: chosen.includes(value),
    }))
    .filter(({ count, pressed }) => count > 0 || pressed);
}

/**
 * @param {Facet} facet
 * @param {string} value
 */
const nameOfValue = (facet, value) => t(`gallery.${facet}.${value}`);

/**
 * The most frequent labels first; chosen ones are there even if they are rare.
 *
 * @param {Map<string, number>} counts
 * @param {string[]} chosen
 * @param {Map<string, string | null>} wnids
 * @param {number} most
 */
function labelChips(counts, chosen, wnids, most) {
  const ranked = [...counts].sort(
    (one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1),
  );
  const values = ranked.slice(0, most).map(([value]) => value);
  for (const value of chosen) if (!values.includes(value)) values.push(value);
  const nameLabel = (/** @type {Facet} */ _, /** @type {string} */ label) =>
    nameOf({ wnid: wnids.get(label) ?? null, label });
  return chipsOf("label", values, counts, chosen, nameLabel);
}

/** @param {(text: string) => void} onText */
function createSearch(onText) {
  const words = { placeholder: t("gallery.search"), "aria-label": t("gallery.search") };
  const typing = { autocomplete: "off", spellcheck: "false" };
  const input = h("input", { type: "search", class: "w-search-field", ...words, ...typing });
  let timer = 0;
  let known = "";
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      known = input.value;
      onText(known);
    }, TYPING_MILLISECONDS);
  });
  // Streamlit reads single letters as commands and does not see a field inside a shadow tree.
  for (const kind of ["keydown", "keypress", "keyup"]) {
    input.addEventListener(kind, (event) => event.stopPropagation());
  }
  const element = h("div", { class: "w-search" }, icon("search"), input);
  return {
    element,
    /** @param {string} text */
    show(text) {
      if (text === known) return; // what is being typed is newer
      known = text;
      clearTimeout(timer);
      if (input.value.trim() !== text.trim()) input.value = text;
    },
    stop: () => clearTimeout(timer),
  };
}

/** @param {(sort: string) => void} onSort */
function createSort(onSort) {
  const select = h("select", { class: "w-select", "aria-label": t("gallery.sort") });
  for (const sort of filters.SORTS) {
    select.append(h("option", { value: sort }, t(`gallery.sort.${sort}`)));
  }
  select.addEventListener("change", () => onSort(select.value));
  return select;
}

function createHead() {
  const title = h("h2", { class: "w-gallery-title" });
  const counts = h("p", { class: "w-gallery-counts" });
  const progress = h("progress", {
    class: "w-gallery-progress",
    "aria-label": t("gallery.progress"),
  });
  const element = h("div", { class: "w-gallery-head" }, title, counts, progress);

  /** @param {Entry[]} entries */
  function show(entries) {
    const tally = { waiting: 0, asking: 0, answered: 0, corrected: 0, confirmed: 0, refused: 0 };
    for (const { state } of entries) tally[state] += 1;
    const waiting = tally.waiting + tally.asking;
    const parts = {
      answered: tally.answered + tally.corrected + tally.confirmed,
      waiting,
      corrected: tally.corrected,
      refused: tally.refused,
    };
    const words = Object.entries(parts).filter(([, count]) => count > 0);
    setText(title, t("gallery.count.all", { count: entries.length }));
    const sayings = words.map(([key, count]) => t(`gallery.count.${key}`, { count }));
    setText(counts, sayings.map((saying) => saying.replaceAll(" ", "\u00a0")).join(" · "));
    progress.hidden = waiting === 0;
    progress.max = Math.max(entries.length, 1);
    progress.value = entries.length - waiting;
  }
  return { element, show };
}

/**
 * The bar above the tiles.
 * @param {object} handlers
 * @param {(filter: Filter, isTyping?: boolean) => void} handlers.onFilter
 * @param {() => void} handlers.onSelecting
 * @param {Element} handlers.exporter The button and menu that export.
 * @param {Filter} handlers.start What is filtered from the start.
 */
export function createBar({ onFilter, onSelecting, exporter, start }) {
  let filter = start;
  let expanded = false;
  /** @type {BarState | null} */
  let last = null;
  const head = createHead();
  const search = createSearch((text) => onFilter({ ...filter, text, page: 1 }, true));
  const sort = createSort((value) => onFilter({ ...filter, sort: value, page: 1 }));
  const chipsFor = (/** @type {Facet} */ facet) =>
    createChips(t(`gallery.facet.${facet}`), (value) =>
      onFilter(filters.toggled(filter, facet, value)),
    );
  const groups = {
    label: chipsFor("label"),
    certainty: chipsFor("certainty"),
    level: chipsFor("level"),
    state: chipsFor("state"),
  };
  const panel = h(
    "div",
    { class: "w-filters" },
    ...Object.values(groups).map((one) => one.element),
  );
  const badge = h("span", { class: "w-badge" });
  const words = h("span", { class: "w-button-words" }, t("gallery.filters"));
  const open = () => setOpen(Boolean(panel.hidden));
  const opener = button({ class: "w-button", onclick: open }, icon("filter"), words, badge);
  const selectWords = h("span", { class: "w-button-words" }, t("gallery.select"));
  const selector = button({ class: "w-button", onclick: onSelecting }, icon("select"), selectWords);
  const unfold = () => {
    expanded = !expanded;
    if (last) show(last);
  };
  const more = button({ class: "w-chip w-chip-more", onclick: unfold });
  const matches = h("p", { class: "w-gallery-matches" });
  const reset = () => onFilter({ ...filters.emptyFilter(), sort: filter.sort });
  const clear = button({ class: "w-link", onclick: reset }, t("gallery.clear"));
  const summary = h("div", { class: "w-gallery-summary" }, matches, clear);
  const tools = h("div", { class: "w-tools" }, search.element, sort, opener, selector, exporter);
  const element = h("div", { class: "w-gallery-bar" }, head.element, tools, panel, summary);

  /** @param {boolean} isOpen */
  function setOpen(isOpen) {
    panel.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
  }
  setOpen(filters.countChosen(start) > 0);

  /**
   * @param {Map<string, number>} counts
   * @param {Map<string, string | null>} wnids
   */
  function showLabels(counts, wnids) {
    const most = expanded ? counts.size : FEW_LABELS;
    const hidden = counts.size - FEW_LABELS;
    setText(
      more,
      expanded ? t("gallery.labels.fewer") : t("gallery.labels.more", { count: hidden }),
    );
    setAttribute(more, "aria-expanded", String(expanded));
    groups.label.show(labelChips(counts, filter.label, wnids, most), hidden > 0 ? [more] : []);
  }

  /** @param {Entry[]} entries */
  function showFacets(entries) {
    const counts = filters.countFacets(entries, filter);
    const wnids = new Map(entries.map(({ label, wnid }) => [label, wnid]));
    showLabels(counts.label, wnids);
    const showKnown = (/** @type {Facet} */ facet, /** @type {string[]} */ values) =>
      groups[facet].show(chipsOf(facet, values, counts[facet], filter[facet], nameOfValue));
    showKnown("certainty", filters.CERTAINTIES);
    showKnown("level", filters.LEVELS);
    showKnown("state", filters.STATES);
  }

  /** @param {BarState} state */
  function show(state) {
    last = state;
    filter = state.filter;
    head.show(state.entries);
    search.show(filter.text);
    if (sort.value !== filter.sort) sort.value = filter.sort;
    if (panel.hidden && state.isFollowed && filters.countChosen(filter) > 0) setOpen(true);
    if (!panel.hidden || filters.countChosen(filter) > 0) showFacets(state.entries);
    const chosen = filters.countChosen(filter);
    badge.hidden = chosen === 0;
    setText(badge, String(chosen));
    setAttribute(selector, "aria-pressed", String(state.isSelecting));
    summary.hidden = !filters.isActive(filter);
    setText(matches, t("gallery.matches", { count: state.shown, total: state.entries.length }));
  }

  opener.addEventListener("click", () => last && show(last));
  return { element, show, stop: search.stop };
}
