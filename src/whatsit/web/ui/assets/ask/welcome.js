/** What there is before the first picture: examples that are answered already. */

import { sentenceOf, t } from "./i18n.js";
import { button, h } from "./lib/dom.js";

/**
 * @typedef {object} Example
 * @property {string} name
 * @property {string} address
 * @property {import("./api.js").AnswerFacts} [answer]
 * @property {string} [sha256]
 * @property {number | null} [computedMs] How long it took to compute.
 */

/**
 * Four pictures with their sentences; each can be opened.
 *
 * @param {{examples: Example[], onExample: (example: Example) => void}} options
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
  const setFirst = (/** @type {boolean} */ isFirst) => {
    title.textContent = t(isFirst ? "page.examples_first" : "page.examples_more");
  };
  setFirst(true);
  return { element, setFirst };
}

/**
 * @param {Example} example
 * @param {(example: Example) => void} onExample
 */
function card(example, onExample) {
  const sentence = example.answer && sentenceOf(example.answer).split("; ")[0];
  return button(
    { class: "w-example", onclick: () => onExample(example) },
    h("img", { src: example.address, alt: "", loading: "lazy", width: 320, height: 240 }),
    h("span", { class: "w-example-text" }, sentence?.replaceAll(" %", "\u00a0%") || example.name),
  );
}
