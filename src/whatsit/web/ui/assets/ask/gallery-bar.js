/** What stands above the tiles: counts, search, order and filters. */

import { h } from "./dom.js";
import { nameOf, t } from "./i18n.js";
import * as filters from "./gallery-filter.js";
import { button, icon, reconcile, setAttribute, setText } from "./gallery-nodes.js";

const FEW_LABELS = 8;
const TYPING_MILLISECONDS = 120;

/**
 * One group of chips, of which several can be pressed.
 * @param {string} title
 * @param {(value: string) => void} onToggle
 */
function createChips(title, onToggle) {
  const made = new Map();
  const list = h("div", { class: "w-chips" });
  const element = h("div", { class: "w-facet", role: "group", "aria-label": title });
  element.append(h("span", { class: "w-facet-title", "aria-hidden": "true" }, title), list);

  function chipOf(value) {
    if (!made.has(value)) {
      const words = [h("span", { class: "w-chip-name" }), h("span", { class: "w-chip-count" })];
      made.set(value, button("w-chip", words, () => onToggle(value)));
    }
    return made.get(value);
  }

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

/** The chips of a facet whose values are known, with those left out that nothing would show. */
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

const nameOfValue = (facet, value) => t(`gallery.${facet}.${value}`);

/** The most frequent labels first; chosen ones are there even if they are rare. */
function labelChips(counts, chosen, wnids, most) {
  const ranked = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const values = ranked.slice(0, most).map(([value]) => value);
  for (const value of chosen) if (!values.includes(value)) values.push(value);
  const nameLabel = (_, label) => nameOf({ wnid: wnids.get(label) ?? null, label });
  return chipsOf("label", values, counts, chosen, nameLabel);
}

function createSearch(onText) {
  const input = h("input", { type: "search", class: "w-search-field", autocomplete: "off" });
  input.setAttribute("placeholder", t("gallery.search"));
  input.setAttribute("aria-label", t("gallery.search"));
  input.setAttribute("spellcheck", "false");
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
    show(text) {
      if (text === known) return; // what is being typed is newer
      known = text;
      clearTimeout(timer);
      if (input.value.trim() !== text.trim()) input.value = text;
    },
    stop: () => clearTimeout(timer),
  };
}

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
  const progress = h("progress", { class: "w-gallery-progress", "aria-label": t("gallery.progress") });
  const element = h("div", { class: "w-gallery-head" }, title, counts, progress);

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
 * @param {(filter: import("./gallery-filter.js").Filter, typing?: boolean) => void} handlers.onFilter
 * @param {(selecting: boolean) => void} handlers.onSelecting
 * @param {Element} handlers.exporter The button and menu that export.
 * @param {import("./gallery-filter.js").Filter} handlers.start What is filtered from the start.
 */
export function createBar({ onFilter, onSelecting, exporter, start }) {
  let filter = start;
  let expanded = false;
  let last = null;
  const head = createHead();
  const search = createSearch((text) => onFilter({ ...filter, text, page: 1 }, true));
  const sort = createSort((value) => onFilter({ ...filter, sort: value, page: 1 }));
  const groups = {};
  for (const facet of ["label", "certainty", "level", "state"]) {
    const toggle = (value) => onFilter(filters.toggled(filter, facet, value));
    groups[facet] = createChips(t(`gallery.facet.${facet}`), toggle);
  }
  const panel = h("div", { class: "w-filters" }, ...Object.values(groups).map((one) => one.element));
  const badge = h("span", { class: "w-badge" });
  const words = h("span", { class: "w-button-words" }, t("gallery.filters"));
  const opener = button("w-button", [icon("filter"), words, badge], () => setOpen(panel.hidden));
  const selectWords = h("span", { class: "w-button-words" }, t("gallery.select"));
  const selector = button("w-button", [icon("select"), selectWords], () => onSelecting(null));
  const more = button("w-chip w-chip-more", [], () => {
    expanded = !expanded;
    show(last);
  });
  const matches = h("p", { class: "w-gallery-matches" });
  const clear = button("w-link", [t("gallery.clear")], () => {
    onFilter({ ...filters.emptyFilter(), sort: filter.sort });
  });
  const summary = h("div", { class: "w-gallery-summary" }, matches, clear);
  const tools = h("div", { class: "w-tools" }, search.element, sort, opener, selector, exporter);
  const element = h("div", { class: "w-gallery-bar" }, head.element, tools, panel, summary);

  function setOpen(open) {
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
  }
  setOpen(filters.countChosen(start) > 0);

  function showLabels(counts, wnids) {
    const most = expanded ? counts.size : FEW_LABELS;
    const hidden = counts.size - FEW_LABELS;
    setText(more, expanded ? t("gallery.labels.fewer") : t("gallery.labels.more", { count: hidden }));
    setAttribute(more, "aria-expanded", String(expanded));
    groups.label.show(labelChips(counts, filter.label, wnids, most), hidden > 0 ? [more] : []);
  }

  function showFacets(entries) {
    const counts = filters.countFacets(entries, filter);
    const wnids = new Map(entries.map(({ label, wnid }) => [label, wnid]));
    showLabels(counts.label, wnids);
    const known = { certainty: filters.CERTAINTIES, level: filters.LEVELS, state: filters.STATES };
    for (const [facet, values] of Object.entries(known)) {
      groups[facet].show(chipsOf(facet, values, counts[facet], filter[facet], nameOfValue));
    }
  }

  function show(state) {
    last = state;
    filter = state.filter;
    head.show(state.entries);
    search.show(filter.text);
    if (sort.value !== filter.sort) sort.value = filter.sort;
    if (panel.hidden && state.followed && filters.countChosen(filter) > 0) setOpen(true);
    if (!panel.hidden || filters.countChosen(filter) > 0) showFacets(state.entries);
    const chosen = filters.countChosen(filter);
    badge.hidden = chosen === 0;
    setText(badge, String(chosen));
    setAttribute(selector, "aria-pressed", String(state.selecting));
    summary.hidden = !filters.isActive(filter);
    setText(matches, t("gallery.matches", { count: state.shown, total: state.entries.length }));
  }

  opener.addEventListener("click", () => last && show(last));
  return { element, show, stop: search.stop };
}
