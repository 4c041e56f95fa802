/** The bar at the foot of the gallery: what can be done with the selected pictures. */

import { t } from "../i18n.js";
import { button, focused, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/**
 * The bar; it hides itself while nothing is selected.
 *
 * @param {object} handlers
 * @param {() => void} handlers.onSelectAll
 * @param {() => void} handlers.onCorrect
 * @param {() => void} handlers.onExport
 * @param {() => void} handlers.onClear
 */
export function createActions({ onSelectAll, onCorrect, onExport, onClear }) {
  const words = h("p", { class: "w-selected-words" });
  const everything = button({ class: "w-link", onclick: onSelectAll });
  const main = { class: "w-button w-button-main", onclick: onCorrect };
  const correct = button(main, icon("pen"), t("gallery.correct"));
  const save = h("span", { class: "w-button-words" }, t("gallery.export"));
  const exporter = button({ class: "w-button", onclick: onExport }, icon("save"), save);
  const bare = { class: "w-button w-button-bare", "aria-label": t("gallery.selected.clear") };
  const clear = button({ ...bare, onclick: onClear }, icon("close"));
  const group = { role: "group", "aria-label": t("gallery.selected"), hidden: true };
  const parts = [words, everything, correct, exporter, clear];
  const element = h("div", { class: "w-selected", ...group }, ...parts);

  /**
   * @param {object} counts
   * @param {number} counts.selected
   * @param {number} counts.seen How many of the selected are among those shown.
   * @param {number} counts.shown How many the filter lets through.
   * @param {number} counts.correctable How many of the selected can be corrected.
   * @param {boolean} isFiltered
   */
  function show({ selected, seen, shown, correctable }, isFiltered) {
    element.hidden = selected === 0;
    if (selected === 0) return;
    const hidden = selected - seen;
    const aside = hidden > 0 ? ` ${t("gallery.selected.hidden", { count: hidden })}` : "";
    setText(words, t("gallery.selected.count", { count: selected }) + aside);
    const scope = isFiltered ? "matching" : "all";
    setText(everything, t(`gallery.select.${scope}`, { count: shown }));
    everything.hidden = seen >= shown;
    correct.disabled = correctable === 0;
  }

  return { element, show, hasFocus: () => element.contains(focused(element)) };
}
