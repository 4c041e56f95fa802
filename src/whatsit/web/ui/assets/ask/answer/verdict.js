/** Right or wrong: what a person says of an answer. */

import { correct, takeBack } from "../correct/corrections.js";
import { openCorrection } from "../correct/dialog.js";
import { nameOf, t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { Problem, problemSentence } from "../problems.js";

/** @typedef {import("../item.js").Item} Item */
/** @typedef {import("../api.js").Reply} Reply */

/**
 * The question, or what was said to it.
 *
 * @param {object} options
 * @param {import("../api.js").Api} options.api
 * @param {number} options.maxLabelCharacters
 * @param {(item: Item) => void} options.onCorrected
 * @param {Item} item
 * @param {Reply} reply Its own.
 * @param {() => void} redraw
 * @returns {HTMLElement}
 */
export function createVerdict({ api, maxLabelCharacters, onCorrected }, item, reply, redraw) {
  const trouble = h("p", { class: "w-small w-bad", role: "alert" });
  const settle = () => {
    onCorrected(item);
    redraw();
  };
  const attempt = async (/** @type {() => Promise<unknown>} */ work) => {
    trouble.textContent = "";
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      trouble.textContent = problemSentence(error);
    }
  };
  const confirm = () =>
    attempt(async () => {
      await correct({ api, item, choice: { verdict: "right" } });
      settle();
    });
  const undo = () =>
    attempt(async () => {
      const { failed } = await takeBack({ api, items: [item] });
      if (failed.length > 0) throw failed[0].problem;
      settle();
    });
  const deny = (/** @type {HTMLElement} */ anchor) =>
    attempt(async () => {
      const asked = { api, items: [item], anchor, maxLabelCharacters, onUndone: settle };
      if (await openCorrection(asked)) settle();
    });
  const row = reply.correction
    ? said(reply.correction, undo)
    : question(reply.answer.recognised ? confirm : null, deny);
  return h("div", { class: "w-verdict" }, row, trouble);
}

/**
 * @param {(() => void) | null} onRight null where nothing is claimed that could be right.
 * @param {(anchor: HTMLElement) => void} onWrong
 */
function question(onRight, onWrong) {
  const words = h("span", { class: "w-question" }, t("page.question"));
  const wrong = button({ class: "w-button" }, icon("no"), t("page.wrong"));
  wrong.addEventListener("click", () => onWrong(wrong));
  const right = onRight && { class: "w-button", onclick: onRight };
  return h(
    "div",
    { class: "w-row" },
    words,
    right && button(right, icon("yes"), t("page.right")),
    wrong,
  );
}

/**
 * @param {import("../api.js").Correction} correction
 * @param {() => void} onUndo
 */
function said(correction, onUndo) {
  const { verdict, label, wnid } = correction;
  let words = t(verdict === "none" ? "page.corrected_none" : "page.confirmed");
  if (verdict === "other")
    words = t("page.corrected", { label: nameOf({ label: label ?? "", wnid }) });
  const line = h("span", { class: "w-corrected", role: "status" }, words);
  const undo = button({ class: "w-button", onclick: onUndo }, icon("undo"), t("page.undo"));
  return h("div", { class: "w-row" }, line, undo);
}
