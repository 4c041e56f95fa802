/** The choice of a language. */

import { h } from "./dom.js";
import { LANGUAGES, chooseLanguage, language, t } from "./i18n.js";

/** What each language calls itself. */
const OWN_NAMES = { en: "English", de: "Deutsch", es: "Español", "pt-BR": "Português (Brasil)" };

/**
 * A list of the languages that there are; the choice is remembered on this browser.
 *
 * @param {{onChange: (tag: string) => void}} options Told what was chosen; draws the page anew.
 * @returns {HTMLElement}
 */
export function createLanguageChoice({ onChange }) {
  const options = LANGUAGES.map((tag) =>
    h("option", { value: tag, lang: tag, selected: tag === language() }, OWN_NAMES[tag]),
  );
  const onchange = (event) => {
    chooseLanguage(event.target.value);
    onChange(event.target.value);
  };
  const list = h("select", { class: "w-language", onchange }, ...options);
  return h("label", { class: "w-language-choice" }, h("span", {}, t("language.choose")), list);
}
