/** What there is before the first picture: examples that are answered already. */

import { h } from "./dom.js";
import { sentenceOf, t } from "./i18n.js";

/**
 * Four pictures with their sentences; each can be opened.
 *
 * @param {{examples: {name: string, address: string, answer: Object|null}[],
 *   onExample: (example: Object) => void}} options
 * @returns {{element: HTMLElement, setFirst: (isFirst: boolean) => void}}
 */
export function createWelcome({ examples, onExample }) {
  const title = h("h2", { class: "w-title" });
  const cards = examples.map((example) => h("li", {}, card(example, onExample)));
  const element = h(
    "section",
    { class: "w-welcome", hidden: examples.length === 0, "aria-label": t("page.examples") },
    title,
    h("ul", { class: "w-examples" }, ...cards),
  );
  const setFirst = (isFirst) => {
    title.textContent = t(isFirst ? "page.examples_first" : "page.examples_more");
  };
  setFirst(true);
  return { element, setFirst };
}

function card(example, onExample) {
  const sentence = example.answer && sentenceOf(example.answer).split("; ")[0].replaceAll(" %", "\u00a0%");
  return h(
    "button",
    { type: "button", class: "w-example", onclick: () => onExample(example) },
    h("img", { src: example.address, alt: "", loading: "lazy", width: 320, height: 240 }),
    h("span", { class: "w-example-text" }, sentence || example.name),
  );
}
