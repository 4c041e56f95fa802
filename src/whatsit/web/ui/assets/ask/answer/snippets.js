/** How a program asks about the same picture: commands that work as they are copied. */

import { t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

const KEY = "YOUR_KEY";
const SAID_MS = 1800;

/** @typedef {{origin: string, name: string, keysRequired: boolean}} Facts */

/**
 * The command for a shell.
 *
 * @param {Facts} facts
 * @returns {string}
 */
export function curlFor({ origin, name, keysRequired }) {
  const key = keysRequired ? ` \\\n  -H 'Authorization: Bearer ${KEY}'` : "";
  const file = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
  return `curl --data-binary @${file}${key} \\\n  ${origin}/api/v1/classify`;
}

/**
 * The same in Python, with nothing to install.
 *
 * @param {Facts} facts
 * @returns {string}
 */
export function pythonFor({ origin, name, keysRequired }) {
  const headers = keysRequired ? `\n    headers={"Authorization": "Bearer ${KEY}"},` : "";
  return [
    "import json",
    "from pathlib import Path",
    "from urllib.request import Request, urlopen",
    "",
    "request = Request(",
    `    "${origin}/api/v1/classify",`,
    `    data=Path(${JSON.stringify(name)}).read_bytes(),${headers}`,
    ")",
    'print(json.load(urlopen(request))["answer"]["text"])',
  ].join("\n");
}

/**
 * Both, behind tabs, with a button that copies.
 *
 * @param {Facts} facts
 * @returns {HTMLElement}
 */
export function createSnippets(facts) {
  /** @type {Record<string, string>} */
  const panels = { curl: curlFor(facts), Python: pythonFor(facts) };
  const code = h("pre", { class: "w-code", tabindex: 0 });
  const panel = h("div", { role: "tabpanel", id: "w-snippet", class: "w-snippet" }, code);
  const tabs = Object.keys(panels).map((name) =>
    button({ role: "tab", class: "w-tab", "aria-controls": "w-snippet" }, name),
  );
  /**
   * @param {HTMLButtonElement} chosen
   * @param {boolean} isFocused
   */
  const choose = (chosen, isFocused) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    code.textContent = panels[chosen.textContent ?? ""];
    panel.setAttribute("aria-label", chosen.textContent ?? "");
    if (isFocused) chosen.focus();
  };
  tabs.forEach((tab, index) => {
    tab.onclick = () => choose(tab, false);
    tab.onkeydown = ({ key }) => {
      if (key === "ArrowRight" || key === "ArrowLeft") choose(tabs[1 - index], true);
    };
  });
  choose(tabs[0], false);
  const copy = copyButton(t("page.copy"), () => code.textContent ?? "");
  const list = h("div", { role: "tablist", class: "w-tabs", "aria-label": t("page.program") });
  list.append(...tabs);
  return h(
    "details",
    { class: "w-program" },
    h("summary", { class: "w-summary" }, t("page.program")),
    h("div", { class: "w-snippet-head" }, list, copy),
    panel,
    facts.keysRequired && h("p", { class: "w-small" }, t("page.key_hint", { key: KEY })),
  );
}

/**
 * A button that puts a text on the clipboard, and says so for a moment.
 *
 * @param {string} words
 * @param {() => string} text
 * @param {"copy" | "link"} [symbol]
 * @returns {HTMLElement}
 */
export function copyButton(words, text, symbol = "copy") {
  const label = h("span", { "aria-live": "polite" }, words);
  const onclick = async () => {
    label.textContent = t((await copy(text())) ? "page.copied" : "page.copy_fails");
    setTimeout(() => {
      label.textContent = words;
    }, SAID_MS);
  };
  return button({ class: "w-button", onclick }, icon(symbol), label);
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text); // without HTTPS a browser offers no other way
  }
}

/** @param {string} text */
function copyByHand(text) {
  const field = h("textarea", { class: "w-hidden" });
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}
