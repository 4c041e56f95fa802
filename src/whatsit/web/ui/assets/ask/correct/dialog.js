/** The dialog that asks what a picture really shows. */

import { nameOf, sentenceOf, t } from "../i18n.js";
import { digestOf, isNamed } from "../item.js";
import { button, focused, h } from "../lib/dom.js";
import { forEachBounded } from "../lib/parallel.js";
import { themedHome } from "../lib/theme.js";
import {
  CORRECTIONS_AT_ONCE,
  correct,
  failureSentence,
  guessesOf,
  takeBack,
} from "./corrections.js";
import { LabelSearch } from "./label-search.js";
import { Notice, OFFER_MS, showUndo, WORD_MS } from "./notice.js";
import { pictureOf, picturesOf } from "./pictures.js";

/** @typedef {import("../item.js").Item} Item */
/** @typedef {import("./corrections.js").Choice} Choice */
/** @typedef {import("./corrections.js").Correction} Correction */
/** @typedef {import("./corrections.js").Failure} Failure */

/**
 * @typedef {object} Options
 * @property {import("./corrections.js").FeedbackApi} api
 * @property {Item[]} items Those without a digest are left out.
 * @property {HTMLElement} anchor Gets the focus back; the dialog takes its theme from there.
 * @property {number} maxLabelCharacters How long a label in a person's own words may be.
 * @property {(items: Item[]) => void} [onUndone] Hears which items lost their correction by an
 *   undo, or have the one before again.
 */

let dialogs = 0;

/**
 * Ask what one or several pictures really show, and save it.
 *
 * Each saved correction stands in `item.reply.correction` before the promise resolves. A notice
 * offers to undo them.
 *
 * @param {Options} options
 * @returns {Promise<Correction[] | null>} null where nothing was saved.
 */
export function openCorrection(options) {
  const items = options.items.filter((item) => digestOf(item));
  if (items.length === 0) return Promise.resolve(null);
  return new Promise((resolve) => {
    new CorrectionDialog({ ...options, items }, resolve).show();
  });
}

class CorrectionDialog {
  #api;
  #items;
  #anchor;
  #maxLabelCharacters;
  #onUndone;
  #resolve;
  #id = `w-correct-${++dialogs}`;
  /** @type {Correction[]} */
  #saved = [];
  /** @type {Item[]} */
  #corrected = [];
  /** @type {Failure[]} */
  #failed = [];
  /** @type {Promise<unknown> | null} */
  #sending = null;
  #isPictureLost = false;
  #isStopped = false;
  #isTakenBack = false;
  /** @type {string[]} Addresses of pictures, until the dialog is gone. */
  #addresses = [];
  /** @type {Element | ShadowRoot} */
  #home = document.body;
  /** @type {LabelSearch | null} */
  #search = null;
  /** @type {HTMLInputElement | null} Ticked where the pictures may be kept. */
  #keep = null;

  /**
   * @param {Options} options
   * @param {(saved: Correction[] | null) => void} resolve
   */
  constructor({ api, items, anchor, maxLabelCharacters, onUndone = () => {} }, resolve) {
    this.#api = api;
    this.#items = items;
    this.#anchor = anchor;
    this.#maxLabelCharacters = maxLabelCharacters;
    this.#onUndone = onUndone;
    this.#resolve = resolve;
    this.title = h("h2", { id: `${this.#id}-title`, class: "w-correct-title", tabindex: "-1" });
    this.head = h("div", { class: "w-correct-head" });
    this.failures = h("div", { class: "w-correct-failures", role: "alert" });
    this.choices = h("fieldset", { class: "w-correct-choices" });
    this.progress = h("p", { class: "w-correct-progress", role: "status" });
    const onclick = () => this.dialog.close();
    const closing = { class: "w-correct-close", "aria-label": t("correct.close"), onclick };
    const parts = [this.head, this.failures, this.choices, this.progress, button(closing)];
    const body = h("div", { class: "w-correct-body" }, ...parts);
    this.dialog = h("dialog", { class: "w-correct", "aria-labelledby": this.title.id }, body);
    this.#listen();
  }

  show() {
    this.#draw();
    this.#home = themedHome(this.#anchor);
    this.#home.append(this.dialog);
    this.dialog.showModal();
    this.title.focus();
  }

  #listen() {
    // The page around listens for keys and pastes of its own; those meant for us are ours.
    for (const kind of ["keydown", "paste"]) {
      this.dialog.addEventListener(kind, (event) => event.stopPropagation());
    }
    let isPressedOutside = false;
    this.dialog.addEventListener("pointerdown", (event) => {
      isPressedOutside = event.target === this.dialog;
    });
    this.dialog.addEventListener("click", (event) => {
      if (isPressedOutside && event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.#finish());
  }

  #draw() {
    const areNamed = this.#items.every(isNamed);
    this.#drawHead();
    this.#search?.destroy();
    this.#search = new LabelSearch({
      api: this.#api,
      id: this.#id,
      maxCharacters: this.#maxLabelCharacters,
      onPick: (choice) => this.#send(choice),
    });
    const legend = h("legend", { class: "w-hidden-text" }, t("correct.choices"));
    this.choices.replaceChildren(legend);
    this.#keep = null;
    if (this.#items.some((item) => item.blob)) this.choices.append(this.#keepChoice());
    if (areNamed) this.choices.append(this.#rightButton());
    this.choices.append(...this.#chips(areNamed), this.#search.element);
  }

  #drawHead() {
    const count = this.#items.length;
    const [first] = this.#items;
    const isRightPossible = this.#items.some(isNamed);
    if (count > 1) this.title.textContent = t("correct.title_many", { count });
    else this.title.textContent = t(isRightPossible ? "correct.title_right" : "correct.title_what");
    const words = h("div", { class: "w-correct-words" }, this.title);
    if (count === 1 && first.reply?.answer) {
      words.append(h("p", { class: "w-correct-sentence" }, sentenceOf(first.reply.answer)));
    }
    if (this.#items.every((item) => item.reply?.correction)) words.append(this.#earlier());
    this.head.replaceChildren(picturesOf(this.#items, this.#addresses), words);
  }

  /** What was said before, and the way back from it. */
  #earlier() {
    const items = this.#items;
    const onclick = () => this.#takeBack(items);
    const line = h("p", { class: "w-correct-before" });
    const correction = items[0].reply?.correction;
    if (items.length === 1 && correction) {
      const { verdict, label, wnid } = correction;
      line.append(
        t(`correct.now_${verdict}`, { label: label ? nameOf({ wnid, label }) : "" }),
        " ",
      );
    }
    line.append(button({ class: "w-correct-link", onclick }, t("correct.take_back")));
    return line;
  }

  /** @param {Item[]} items */
  async #takeBack(items) {
    if (this.#sending) return;
    this.#setBusy(t("correct.undoing"));
    const taking = takeBack({ api: this.#api, items });
    this.#sending = taking;
    const { done, failed } = await taking;
    this.#sending = null;
    this.#setBusy(null);
    this.#isTakenBack = failed.length === 0;
    if (done.length > 0) this.#onUndone(done);
    if (failed.length > 0) this.#showFailures(failed, () => this.#takeBack(items));
    else if (this.dialog.open) this.dialog.close();
  }

  #keepChoice() {
    const count = this.#items.filter((item) => item.blob).length;
    const id = `${this.#id}-keep`;
    const where = `${this.#id}-where`;
    this.#keep = h("input", { type: "checkbox", id, "aria-describedby": where });
    return h(
      "div",
      { class: "w-correct-keep" },
      this.#keep,
      h("label", { for: id }, t("correct.keep", { count })),
      h("p", { id: where }, t("correct.keep_where", { count })),
    );
  }

  #rightButton() {
    const onclick = () => this.#send({ verdict: "right" });
    const words = t(this.#items.length > 1 ? "correct.right_many" : "correct.right");
    return button({ class: "w-correct-right", onclick }, words);
  }

  /** @param {boolean} isAfterRight Whether a button before them says that the answer is right. */
  #chips(isAfterRight) {
    const heading = h(
      "p",
      { id: `${this.#id}-chips`, class: "w-correct-heading" },
      t(isAfterRight ? "correct.or_one_of" : "correct.one_of"),
    );
    const guesses = guessesOf(this.#items).map((guess) =>
      this.#chip(nameOf(guess), { verdict: "other", ...guess }),
    );
    const none = this.#chip(t("correct.none"), { verdict: "none", label: null, wnid: null });
    none.classList.add("w-correct-none");
    const names = { role: "group", "aria-labelledby": heading.id };
    return [heading, h("div", { class: "w-correct-chips", ...names }, ...guesses, none)];
  }

  /**
   * @param {string} text
   * @param {Choice} choice
   */
  #chip(text, choice) {
    return button({ class: "w-correct-chip", onclick: () => this.#send(choice) }, text);
  }

  /** @param {Choice} choice */
  async #send(choice) {
    const items = this.#items;
    let settled = 0;
    const show = () => {
      const words = { done: settled, count: items.length };
      this.#setBusy(items.length === 1 ? t("correct.saving") : t("correct.saving_many", words));
    };
    show();
    const send = (/** @type {Item} */ item) =>
      this.#sendOne(item, choice).finally(() => {
        settled += 1;
        show();
      });
    const isStopped = () => this.#isStopped;
    const sending = forEachBounded(items, send, { atOnce: CORRECTIONS_AT_ONCE, isStopped });
    this.#sending = sending;
    this.#failed = await sending;
    this.#sending = null;
    this.#setBusy(null);
    if (!this.dialog.open) return;
    if (this.#failed.length === 0) this.dialog.close();
    else this.#keepTrying(this.#failed, choice);
  }

  /**
   * @param {Item} item
   * @param {Choice} choice
   */
  async #sendOne(item, choice) {
    const picture = this.#keep?.checked ? item.blob : null;
    const { correction, isPictureLost } = await correct({ api: this.#api, item, choice, picture });
    this.#isPictureLost ||= isPictureLost;
    this.#saved.push(correction);
    this.#corrected.push(item);
  }

  /**
   * @param {Failure[]} failed
   * @param {Choice} choice
   */
  #keepTrying(failed, choice) {
    this.#items = failed.map(({ item }) => item);
    const isKept = Boolean(this.#keep?.checked);
    this.#draw();
    if (this.#keep) this.#keep.checked = isKept;
    this.#showFailures(failed, () => this.#send(choice));
    if (this.#saved.length > 0) {
      this.title.textContent = t("correct.title_left", { count: failed.length });
    }
  }

  /**
   * @param {Failure[]} failed
   * @param {() => void} onRetry
   */
  #showFailures(failed, onRetry) {
    const rows = failed.map(({ item, problem }) => {
      const name = h("strong", {}, item.name ?? t("correct.not_saved"));
      const words = h("span", {}, name, " ", failureSentence(problem));
      return h("li", {}, pictureOf(item, "", this.#addresses), words);
    });
    const retry = button({ class: "w-correct-retry", onclick: onRetry }, t("correct.retry"));
    this.failures.replaceChildren(h("ul", {}, ...rows), retry);
    retry.focus();
  }

  /** @param {string | null} text What is being done; null for nothing. */
  #setBusy(text) {
    if (!this.dialog.open) return;
    this.progress.textContent = text ?? "";
    if (text && !this.choices.disabled) {
      this.failures.replaceChildren();
      this.#search?.close();
      this.title.focus(); // what had the focus is about to be disabled
    }
    this.choices.disabled = Boolean(text);
    this.dialog.classList.toggle("w-correct-busy", Boolean(text));
  }

  async #finish() {
    this.#isStopped = true;
    this.#search?.destroy();
    const holder = focused(this.#home); // the browser gives the focus back itself
    if ((!holder || holder === document.body) && this.#anchor.isConnected) this.#anchor.focus();
    this.dialog.remove();
    const wasSending = Boolean(this.#sending);
    await this.#sending;
    for (const address of this.#addresses) URL.revokeObjectURL(address);
    this.#resolve(this.#saved.length > 0 ? this.#saved : null);
    this.#leaveWord(wasSending);
  }

  /** @param {boolean} wasSending */
  #leaveWord(wasSending) {
    const anchor = this.#anchor.isConnected ? this.#anchor : document.body;
    if (this.#saved.length > 0) {
      const text = this.#isPictureLost ? t("correct.saved_without_picture") : undefined;
      const [api, items, onUndone] = [this.#api, this.#corrected, this.#onUndone];
      showUndo({ api, items, onUndone, anchor, text });
    } else if (this.#isTakenBack) {
      new Notice(anchor).say(t("correct.undone"), { forMs: WORD_MS });
    } else if (wasSending && this.#failed.length > 0) {
      const detail = failureSentence(this.#failed[0].problem);
      new Notice(anchor).say(t("correct.late_failure", { detail }), { forMs: OFFER_MS });
    }
  }
}
