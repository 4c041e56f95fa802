/** One answer: the picture, the sentence, the evidence, and what can be done with it. */

import { SERVICE } from "../api.js";
import { sentenceOf, t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { problemSentence } from "../problems.js";
import { bars, certainty, path, receipt, sentence } from "./evidence.js";
import { copyButton, createSnippets } from "./snippets.js";
import { createVerdict } from "./verdict.js";
import { createWhy } from "./why.js";

/** @typedef {import("../api.js").Reply} Reply */
/** @typedef {import("../item.js").Item} Item */

/**
 * @typedef {object} Options
 * @property {import("../api.js").Api} api
 * @property {boolean} keysRequired Whether a program needs a key.
 * @property {number} maxLabelCharacters
 * @property {(sha256: string) => number | undefined} computedMs How long a kept answer once took.
 * @property {() => void} onBack
 * @property {(item: Item) => void} onCorrected
 */

/**
 * The view of one item, drawn again by `show`; `clear` releases its picture.
 *
 * @param {Options} options
 * @returns {{element: HTMLElement, show: (item: Item, canGoBack: boolean) => void,
 *   clear: () => void}}
 */
export function createAnswer(options) {
  const element = h("article", { class: "w-answer", hidden: true, "aria-label": t("page.answer") });
  /** @type {string | null} Of the picture. */
  let address = null;

  function clear() {
    element.replaceChildren();
    element.hidden = true;
    if (address !== null) URL.revokeObjectURL(address);
    address = null;
  }

  /**
   * @param {Item} item
   * @param {boolean} canGoBack
   */
  function show(item, canGoBack) {
    const isSame = element.dataset.item === item.id && address !== null;
    const kept = isSame ? address : null;
    if (isSame) address = null;
    clear();
    address = kept ?? (item.blob && URL.createObjectURL(item.blob));
    element.dataset.item = item.id;
    element.hidden = false;
    const redraw = () => show(item, canGoBack);
    const frame = frameOf(item, address);
    element.append(
      canGoBack ? backBar(options, item) : "",
      h("div", { class: "w-answer-left" }, frame, whyOf(options, item, frame)),
      h("div", { class: "w-answer-right" }, ...bodyOf(options, item, redraw)),
    );
  }

  return { element, show, clear };
}

/**
 * @param {Options} options
 * @param {Item} item
 */
function backBar({ onBack }, item) {
  const back = button({ class: "w-button", onclick: onBack }, icon("back"), t("page.back"));
  return h("div", { class: "w-row w-answer-bar" }, back, h("span", { class: "w-name" }, item.name));
}

/**
 * @param {Item} item
 * @param {string | null} address
 */
function frameOf(item, address) {
  const tile = () => h("div", { class: "w-blank" }, icon("picture"), h("span", {}, item.name));
  const source = address ?? item.thumbnail;
  if (!source) return h("figure", { class: "w-picture" }, tile());
  const alt = item.reply ? sentenceOf(item.reply.answer) : "";
  const picture = h("img", { src: source, alt });
  picture.addEventListener("error", () => picture.replaceWith(tile()), { once: true });
  return h("figure", { class: "w-picture" }, picture);
}

/**
 * @param {Options} options
 * @param {Item} item
 * @param {HTMLElement} frame
 */
function whyOf({ api }, { blob, reply }, frame) {
  return blob && reply && createWhy({ api, blob, top: reply.top, frame });
}

/**
 * @param {Options} options
 * @param {Item} item
 * @param {() => void} redraw
 * @returns {import("../lib/dom.js").Child[]}
 */
function bodyOf(options, item, redraw) {
  const { reply, problem, state } = item;
  if (state === "refused" && problem) {
    return [h("p", { class: "w-notice", role: "alert" }, problemSentence(problem))];
  }
  if (reply === null) {
    return [
      h("p", { class: "w-sentence w-thinking" }, t("page.thinking")),
      h("div", { class: "w-skeleton", "aria-hidden": "true" }),
    ];
  }
  const name = item.blob ? item.name : "picture.jpg";
  return [
    certainty(reply.answer),
    sentence(reply.answer),
    path(reply.answer, options.api),
    createVerdict(options, item, reply, redraw),
    bars(reply.top),
    receipt(reply, options.computedMs(reply.image.sha256)),
    h("div", { class: "w-row" }, share(reply)),
    createSnippets({ origin: SERVICE, name, keysRequired: options.keysRequired }),
  ];
}

/** @param {Reply} reply */
function share({ image }) {
  const address = () => {
    const link = new URL(window.location.href);
    link.search = new URLSearchParams({ answer: image.sha256 }).toString();
    link.hash = "";
    return link.href;
  };
  return copyButton(t("page.share"), address, "link");
}
