/** The button that forgets all answers, and the question before it does. */

import { t } from "../i18n.js";
import { button, focused, h } from "../lib/dom.js";

export class ForgetAll {
  #count;
  #onForget;
  #onClose;

  /**
   * @param {object} options
   * @param {string} options.id Of the question.
   * @param {() => number} options.count How many answers there are.
   * @param {() => void} options.onForget
   * @param {() => void} options.onClose The focus needs a place other than the button.
   */
  constructor({ id, count, onForget, onClose }) {
    this.#count = count;
    this.#onForget = onForget;
    this.#onClose = onClose;
    const open = { class: "w-history-button", hidden: true, onclick: () => this.#open() };
    this.opener = button(open, t("history.forget_all"));
    const no = { class: "w-history-button", onclick: () => this.close() };
    this.no = button(no, t("history.forget_no"));
    const yes = { class: "w-history-button w-history-yes", onclick: () => this.#forget() };
    this.question = h("p", { id });
    const group = { role: "group", "aria-labelledby": id, hidden: true };
    const parts = [this.question, button(yes, t("history.forget_yes")), this.no];
    this.element = h("div", { class: "w-history-sure", ...group }, ...parts);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  /** Show how many there are now; without any, there is neither button nor question. */
  show() {
    const count = this.#count();
    if (count === 0 && !this.element.hidden) this.close();
    this.opener.hidden = count === 0 || !this.element.hidden;
    if (!this.element.hidden) this.question.textContent = t("history.forget_sure", { count });
  }

  /** Ask no longer. */
  close() {
    const hadFocus = this.element.contains(focused(this.element));
    this.element.hidden = true;
    this.opener.hidden = this.#count() === 0;
    if (!hadFocus) return;
    if (this.opener.hidden) this.#onClose();
    else this.opener.focus();
  }

  #open() {
    this.element.hidden = false;
    this.show();
    this.no.focus();
  }

  #forget() {
    this.close();
    this.#onForget();
  }
}
