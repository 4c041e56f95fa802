/** The choice of a language. */

import { chooseLanguage, LANGUAGES, language, t } from "./i18n.js";
import { h } from "./lib/dom.js";

/** @type {Record<string, string>} What each language calls itself. */
const OWN_NAMES = { en: "English", de: "Deutsch", es: "Español", "pt-BR": "Português (Brasil)" };

/**
 * A list of the languages that there are; the choice is remembered on this browser.
 *
 * @param {{onChange: (tag: string) => void}} options `onChange` gets what was
 *   chosen, and draws the page again.
 * @returns {HTMLElement}
 */
export function createLanguageChoice({ onChange }) {
  const options = LANGUAGES.map((tag) =>
    h("option", { value: tag, lang: tag, selected: tag === language() }, OWN_NAMES[tag]),
  );
  const onchange = () => {
    chooseLanguage(list.value);
    onChange(list.value);
  };
  const list = h("select", { class: "w-language", onchange }, ...options);
  return h("label", { class: "w-language-choice" }, h("span", {}, t("language.choose")), list);
}
