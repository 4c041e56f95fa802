/** The combobox that searches the labels of the model and takes a person's own words. */

import { nameOf, t } from "../i18n.js";
import { h } from "../lib/dom.js";
import { failureSentence } from "./corrections.js";

const DEBOUNCE_MS = 150;
const LABELS_SHOWN = 8;

/** @typedef {import("../api.js").Label} Label */
/** @typedef {import("./corrections.js").Choice & {label: string, wnid: string | null}} LabelChoice */

export class LabelSearch {
  #api;
  #id;
  #onPick;
  #maxCharacters;
  #timer = 0;
  #asked = 0;
  /** @type {LabelChoice[]} */
  #choices = [];
  #active = -1;

  /**
   * @param {object} options
   * @param {Pick<import("../api.js").Api, "labels">} options.api
   * @param {string} options.id What the ids of the elements begin with.
   * @param {number} options.maxCharacters How long a label in a person's own words may be.
   * @param {(choice: LabelChoice) => void} options.onPick
   */
  constructor({ api, id, maxCharacters, onPick }) {
    this.#api = api;
    this.#id = id;
    this.#maxCharacters = maxCharacters;
    this.#onPick = onPick;
    this.input = h("input", {
      id: `${id}-search`,
      class: "w-correct-input",
      type: "text",
      role: "combobox",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "search",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      "aria-describedby": `${id}-hint`,
      placeholder: t("correct.search_hint"),
    });
    this.list = h("ul", {
      id: `${id}-list`,
      class: "w-correct-list",
      role: "listbox",
      hidden: true,
      "aria-label": t("correct.results"),
    });
    this.hint = h("p", { id: `${id}-hint`, class: "w-correct-hint", role: "status" });
    const heading = { for: `${id}-search`, class: "w-correct-heading" };
    this.element = h(
      "div",
      { class: "w-correct-search" },
      h("label", heading, t("correct.search")),
      this.input,
      this.hint,
      this.list,
    );
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#pressed(event));
    this.input.addEventListener("click", () => this.#open());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus
  }

  /** Fold the list away; the text stays. */
  close() {
    this.list.hidden = true;
    this.#activate(-1);
    this.input.setAttribute("aria-expanded", "false");
  }

  /** Search no further. */
  destroy() {
    clearTimeout(this.#timer);
    this.#asked += 1;
  }

  #open() {
    if (this.#choices.length === 0) return;
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const query = this.input.value.trim();
    if (query) this.#timer = setTimeout(() => this.#ask(query), DEBOUNCE_MS);
    else this.#show([], query, "");
  }

  /** @param {string} query */
  async #ask(query) {
    const turn = this.#asked;
    this.#show([], query, t("correct.searching"));
    /** @type {Label[]} */
    let found = [];
    let said = "";
    try {
      found = await this.#api.labels(query, { limit: LABELS_SHOWN });
      said = found.length ? t("correct.found", { count: found.length }) : t("correct.found_none");
    } catch (problem) {
      said = t("correct.search_failed", { detail: failureSentence(problem) });
    }
    if (turn === this.#asked) this.#show(found, query, said); // else: a later query is on its way
  }

  /**
   * @param {Label[]} found
   * @param {string} query
   * @param {string} said
   */
  #show(found, query, said) {
    this.#choices = found.map(({ label, wnid }) => ({ verdict: "other", label, wnid }));
    const options = found.map((label) => optionOf(label, query));
    const count = [...query].length;
    const limit = this.#maxCharacters;
    if (count > limit) {
      said = t("correct.own_too_long", { limit, count });
    } else if (query && !found.some((label) => isSameWord(nameOf(label), query))) {
      this.#choices.push({ verdict: "other", label: query, wnid: null });
      options.push(h("li", { class: "w-correct-own" }, t("correct.own", { label: query })));
    }
    options.forEach((option, position) => {
      option.id = `${this.#id}-option-${position}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.addEventListener("click", () => this.#pick(position));
    });
    this.#active = -1;
    this.list.replaceChildren(...options);
    this.hint.textContent = said;
    this.input.removeAttribute("aria-activedescendant");
    if (options.length > 0) this.#open();
    else this.close();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") this.#move(1);
    else if (event.key === "ArrowUp") this.#move(-1);
    else if (event.key === "Enter") this.#entered();
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else return;
    event.preventDefault(); // Escape leaves the dialog only where no list is open
  }

  /** @param {1 | -1} step */
  #move(step) {
    const count = this.#choices.length;
    if (count === 0) return;
    const wasHidden = this.list.hidden;
    this.#open();
    if (wasHidden || this.#active < 0) this.#activate(step > 0 ? 0 : count - 1);
    else this.#activate((this.#active + step + count) % count);
  }

  #entered() {
    if (this.#active >= 0) {
      this.#pick(this.#active);
      return;
    }
    const query = this.input.value.trim();
    const same = this.#choices.findIndex(
      (choice) => choice.wnid && isSameWord(nameOf(choice), query),
    );
    if (same >= 0) this.#pick(same);
    else this.#move(1);
  }

  /** @param {number} position Of the option that Enter takes; -1 for none. */
  #activate(position) {
    this.list.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = position;
    const option = this.list.children[position];
    if (!option) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  /** @param {number} position */
  #pick(position) {
    const choice = this.#choices[position];
    this.close();
    this.#onPick(choice);
  }
}

/**
 * @param {Label} label
 * @param {string} query
 */
function optionOf(label, query) {
  const name = h("span", { class: "w-correct-name" }, ...withMark(nameOf(label), query));
  const option = h("li", {}, name);
  if (label.synonyms?.length) {
    const synonyms = t("correct.also", { synonyms: label.synonyms.join(", ") });
    option.append(" ", h("span", { class: "w-correct-synonyms" }, ...withMark(synonyms, query)));
  }
  if (label.definition) {
    option.append(" ", h("span", { class: "w-correct-definition" }, label.definition));
  }
  return option;
}

/**
 * The text in pieces, the part that matches the query marked.
 *
 * @param {string} text
 * @param {string} query
 */
function withMark(text, query) {
  const at = text.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0 || !query) return [text];
  const end = at + query.length;
  return [text.slice(0, at), h("mark", {}, text.slice(at, end)), text.slice(end)];
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSameWord(one, other) {
  return one.localeCompare(other, undefined, { sensitivity: "base" }) === 0;
}
