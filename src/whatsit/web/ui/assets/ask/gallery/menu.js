/** The menu that exports all, the filtered or the selected pictures. */

import { t } from "../i18n.js";
import { button, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { download, toCsv, toJson, toSidecars } from "./export.js";

/** @typedef {"all" | "matching" | "selected"} Scope */
/** @typedef {"csv" | "json" | "xmp"} Format */
/** @typedef {import("../item.js").Item} Item */

/** @type {Scope[]} */
const SCOPES = ["all", "matching", "selected"];
/** @type {Format[]} */
const FORMATS = ["csv", "json", "xmp"];

/**
 * @param {Format} format
 * @param {Item[]} items
 * @returns {string} What came of it.
 */
function exportAs(format, items) {
  const day = new Date().toISOString().slice(0, 10);
  if (format !== "xmp") {
    const text = format === "csv" ? toCsv(items) : toJson(items);
    const type = format === "csv" ? "text/csv;charset=utf-8" : "application/json";
    download(new Blob([text], { type }), `whatsit-${day}.${format}`);
    return t("gallery.export.done", { count: items.length });
  }
  const { archive, written, left } = toSidecars(items);
  if (written > 0) download(archive, `whatsit-sidecars-${day}.zip`);
  const kept = t("gallery.export.sidecars", { count: written });
  return left > 0 ? `${kept} ${t("gallery.export.left", { count: left })}` : kept;
}

/**
 * @param {Scope} scope
 * @param {string} name Of the group.
 */
function scopeChoice(scope, name) {
  const input = h("input", { type: "radio", name, value: scope });
  const words = h("span", {});
  const element = h("label", { class: "w-scope" }, input, words);
  return { scope, input, words, element };
}

/**
 * The button and its menu.
 * @param {object} options
 * @param {() => Record<Scope, Item[]> & {isFiltered: boolean}} options.scopes
 *   The items that could be exported, when the menu opens or a format is chosen.
 * @param {(sentence: string) => void} options.say Shows what came of it.
 * @param {AbortSignal} options.signal
 * @returns {{element: HTMLElement, open: () => void}}
 */
export function createExportMenu({ scopes, say, signal }) {
  const words = h("span", { class: "w-button-words" }, t("gallery.export"));
  const toggle = () => (panel.hidden ? open() : close());
  const opener = button({ class: "w-button", onclick: toggle }, icon("save"), words);
  const name = `w-scope-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const choices = SCOPES.map((scope) => scopeChoice(scope, name));
  const fieldset = h("fieldset", { class: "w-scopes" }, ...choices.map((one) => one.element));
  fieldset.prepend(h("legend", {}, t("gallery.export.which")));
  const formats = FORMATS.map((format) => {
    const title = h("span", { class: "w-format-title" }, t(`gallery.export.${format}`));
    const note = h("span", { class: "w-format-note" }, t(`gallery.export.${format}.note`));
    const onclick = () => run(format);
    return button({ class: "w-format", "data-format": format, onclick }, title, note);
  });
  const group = { role: "group", "aria-label": t("gallery.export") };
  const panel = h("div", { class: "w-menu", ...group }, fieldset, ...formats);
  const element = h("div", { class: "w-menu-anchor" }, opener, panel);

  function open() {
    const { isFiltered, ...items } = scopes();
    const first = items.selected.length > 0 ? "selected" : isFiltered ? "matching" : "all";
    for (const { scope, input, words: label, element: row } of choices) {
      const isOffered = { all: true, matching: isFiltered, selected: items.selected.length > 0 };
      row.hidden = !isOffered[scope];
      input.checked = scope === first;
      setText(label, t(`gallery.export.scope.${scope}`, { count: items[scope].length }));
    }
    panel.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    choices.find((one) => one.scope === first)?.input.focus();
  }

  function close() {
    panel.hidden = true;
    opener.setAttribute("aria-expanded", "false");
  }

  /** @param {Format} format */
  function run(format) {
    const chosen = choices.find((one) => one.input.checked);
    say(exportAs(format, scopes()[chosen?.scope ?? "all"]));
    close();
    opener.focus();
  }

  close();
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
    opener.focus();
  });
  const outside = (/** @type {Event} */ event) => {
    if (!event.composedPath().includes(element)) close();
  };
  window.addEventListener("pointerdown", outside, { signal });
  window.addEventListener("focusin", outside, { signal });
  return { element, open };
}
