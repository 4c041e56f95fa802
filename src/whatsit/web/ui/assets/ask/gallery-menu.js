/** The menu that exports all, the filtered or the selected pictures. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { download, toCsv, toJson, toSidecars } from "./export.js";
import { button, icon, setText } from "./gallery-nodes.js";

const SCOPES = ["all", "matching", "selected"];
const FORMATS = ["csv", "json", "xmp"];

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

function scopeChoice(scope, name) {
  const input = h("input", { type: "radio", name, value: scope });
  const words = h("span", {});
  const element = h("label", { class: "w-scope" }, input, words);
  return { scope, input, words, element };
}

/**
 * The button and its menu.
 * @param {object} options
 * @param {() => {all: object[], matching: object[], selected: object[], filtered: boolean}} options.scopes
 *   The items that could be exported, when the menu opens or a format is chosen.
 * @param {(sentence: string) => void} options.say Tells people what came of it.
 * @param {AbortSignal} options.signal
 * @returns {{element: HTMLElement, open: () => void}}
 */
export function createExportMenu({ scopes, say, signal }) {
  const words = h("span", { class: "w-button-words" }, t("gallery.export"));
  const opener = button("w-button", [icon("save"), words], () => (panel.hidden ? open() : close()));
  const name = `w-scope-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const choices = SCOPES.map((scope) => scopeChoice(scope, name));
  const fieldset = h("fieldset", { class: "w-scopes" }, ...choices.map((one) => one.element));
  fieldset.prepend(h("legend", {}, t("gallery.export.which")));
  const formats = FORMATS.map((format) => {
    const title = h("span", { class: "w-format-title" }, t(`gallery.export.${format}`));
    const note = h("span", { class: "w-format-note" }, t(`gallery.export.${format}.note`));
    return button("w-format", [title, note], () => run(format), { "data-format": format });
  });
  const panel = h("div", { class: "w-menu", role: "group" }, fieldset, ...formats);
  panel.setAttribute("aria-label", t("gallery.export"));
  const element = h("div", { class: "w-menu-anchor" }, opener, panel);

  function open() {
    const { filtered, ...items } = scopes();
    const first = items.selected.length > 0 ? "selected" : filtered ? "matching" : "all";
    for (const { scope, input, words: label, element: row } of choices) {
      row.hidden = (scope === "selected" && items.selected.length === 0) || (scope === "matching" && !filtered);
      input.checked = scope === first;
      setText(label, t(`gallery.export.scope.${scope}`, { count: items[scope].length }));
    }
    panel.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    choices.find((one) => one.scope === first).input.focus();
  }

  function close() {
    panel.hidden = true;
    opener.setAttribute("aria-expanded", "false");
  }

  function run(format) {
    const { scope } = choices.find((one) => one.input.checked);
    say(exportAs(format, scopes()[scope]));
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
  const outside = (event) => event.composedPath().includes(element) || close();
  window.addEventListener("pointerdown", outside, { signal });
  window.addEventListener("focusin", outside, { signal });
  return { element, open };
}
