/** A line at the foot of the window that says what was done, and offers to undo it. */

import { t } from "../i18n.js";
import { button, focused, h } from "../lib/dom.js";
import { themedHome } from "../lib/theme.js";
import { failureSentence, takeBack } from "./corrections.js";

export const WORD_MS = 4000;
export const OFFER_MS = 8000;

/** @typedef {import("../item.js").Item} Item */

/**
 * Say that corrections are saved, and offer for eight seconds to undo them.
 *
 * The time stands still while the pointer or the focus is on the notice. Control+Z undoes too.
 *
 * @param {object} options
 * @param {import("./corrections.js").FeedbackApi} options.api
 * @param {Item[]} options.items Those without a correction are left out.
 * @param {(items: Item[]) => void} [options.onUndone]
 * @param {Element} [options.anchor] Where the notice takes its theme from.
 * @param {string} [options.text] What the notice says instead of "Saved."
 */
export function showUndo({ api, items, onUndone = () => {}, anchor = document.body, text }) {
  let left = items.filter((item) => item.reply?.correction);
  if (left.length === 0) return;
  const count = left.length;
  const saved = count > 1 ? t("correct.saved_many", { count }) : t("correct.saved");
  const undo = async (/** @type {Notice} */ notice) => {
    notice.say(t("correct.undoing"));
    const { done, failed } = await takeBack({ api, items: left });
    left = failed.map(({ item }) => item);
    if (done.length > 0) onUndone(done);
    if (failed.length === 0) notice.say(t("correct.undone"), { forMs: WORD_MS });
    else {
      const detail = failureSentence(failed[0].problem);
      const retry = { action: t("correct.retry"), onAction: undo };
      notice.say(t("correct.undo_failed", { detail }), retry);
    }
  };
  new Notice(anchor).say(text ?? saved, { action: t("correct.undo"), onAction: undo });
}

/** One line at a time: a new one takes the place of the one before. */
export class Notice {
  /** @type {Notice | null} */
  static #current = null;
  #anchor;
  #root;
  #timer = 0;
  #until = 0;
  #left = 0;
  #leaving = new AbortController();
  /** @type {((notice: Notice) => void) | null} */
  #onAction = null;

  /** @param {Element} anchor Where it takes its theme from, and gives the focus back to. */
  constructor(anchor) {
    Notice.#current?.leave();
    Notice.#current = this;
    this.#anchor = anchor;
    const home = themedHome(anchor);
    this.#root = home.getRootNode();
    this.line = h("p", { class: "w-correct-notice-line", role: "status" });
    const area = { role: "region", "aria-label": t("correct.notice_area") };
    this.element = h("div", { class: "w-correct-notice", ...area }, this.line);
    home.append(this.element);
    if (this.element.showPopover) {
      this.element.setAttribute("popover", "manual"); // above everything, whatever the page does
      this.element.showPopover();
    }
    this.#listen();
  }

  #listen() {
    const { signal } = this.#leaving;
    for (const kind of ["pointerenter", "focusin"]) {
      this.element.addEventListener(kind, () => this.#pause(), { signal });
    }
    for (const kind of ["pointerleave", "focusout"]) {
      this.element.addEventListener(kind, () => this.#resume(), { signal });
    }
    document.addEventListener("keydown", (event) => this.#pressed(event), { signal });
  }

  /**
   * Show a text.
   *
   * @param {string} text
   * @param {object} [options]
   * @param {string} [options.action] The words of a button.
   * @param {(notice: Notice) => void} [options.onAction]
   * @param {number} [options.forMs] How long; 0 for without an end.
   */
  say(text, { action, onAction, forMs = action ? OFFER_MS : 0 } = {}) {
    clearTimeout(this.#timer);
    this.#onAction = onAction ?? null;
    const hadFocus = this.element.contains(focused(this.#root));
    const words = h("span", { class: "w-correct-notice-text", tabindex: "-1" });
    this.line.replaceChildren(words);
    // A region is read out only if its text comes after it.
    requestAnimationFrame(() => {
      words.textContent = text;
    });
    if (action) {
      const keys = { "aria-keyshortcuts": "Control+Z Meta+Z" };
      const onclick = () => this.#act();
      this.line.append(" ", button({ class: "w-correct-undo", ...keys, onclick }, action));
    }
    if (hadFocus) (this.line.querySelector("button") ?? words).focus();
    this.#left = forMs;
    this.#timer = 0;
    if (forMs) this.#resume();
  }

  /** Take the notice away. */
  leave() {
    clearTimeout(this.#timer);
    this.#leaving.abort();
    const hadFocus = this.element.contains(focused(this.#root));
    this.element.remove();
    if (hadFocus && this.#anchor.isConnected && this.#anchor instanceof HTMLElement) {
      this.#anchor.focus();
    }
    if (Notice.#current === this) Notice.#current = null;
  }

  #act() {
    const act = this.#onAction;
    this.#onAction = null;
    act?.(this);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const [target] = event.composedPath();
    const fields = "input, textarea, select, [contenteditable]";
    const isWriting = target instanceof Element && target.closest(fields) !== null;
    const hasControl = (event.ctrlKey || event.metaKey) && !event.shiftKey;
    const isUndo = hasControl && event.key.toLowerCase() === "z";
    if (!isUndo || isWriting || !this.#onAction) return;
    event.preventDefault();
    this.#act();
  }

  #pause() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#left = Math.max(1000, this.#until - Date.now());
  }

  #resume() {
    const held = focused(this.#root);
    const isHeld = held?.matches("button") && this.element.contains(held);
    if (this.#timer || !this.#left || isHeld || this.element.matches(":hover")) return;
    this.#until = Date.now() + this.#left;
    this.#timer = setTimeout(() => this.leave(), this.#left);
  }
}
