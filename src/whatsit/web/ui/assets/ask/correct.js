/** Telling the service what a picture really shows: the dialog, the search, and the undo. */
import { h } from "./dom.js";
import { nameOf, sentenceOf, t } from "./i18n.js";

const AT_ONCE = 4;
const DEBOUNCE_MS = 150;
const LABELS_SHOWN = 8;
const LONGEST_LABEL = 80;
const MOST_CHIPS = 6;
const PICTURES_SHOWN = 5;
const TOAST_MS = 8000;
const LAST_WORD_MS = 4000;

let dialogsSoFar = 0;

/** The correction that each one took the place of; it counts again when that one is undone. */
const before = new WeakMap();

/**
 * @typedef {object} Correction
 * @property {string} id What `api.undoFeedback` takes.
 * @property {"right"|"other"|"none"} verdict
 * @property {string|null} label
 * @property {string|null} wnid Null for an own label.
 * @property {string} at
 */

/**
 * Ask what one or several pictures really show, and save it.
 *
 * Each saved correction stands in `item.reply.correction` before the promise resolves. A notice
 * offers to undo them; `onUndone` hears which items lost it that way, or have the one before again.
 *
 * @param {object} options
 * @param {object} options.api Has `labels`, `sendFeedback` and `undoFeedback`.
 * @param {object[]} options.items Those without a digest are left out.
 * @param {Element} options.anchor Gets the focus back; the dialog takes its theme from there.
 * @param {(items: object[]) => void} [options.onUndone]
 * @returns {Promise<Correction[]|null>} Null where nothing was saved.
 */
export function openCorrection({ api, items, anchor, onUndone = () => {} }) {
  const known = items.filter((item) => digestOf(item));
  if (known.length === 0) return Promise.resolve(null);
  return new Promise((resolve) => {
    new CorrectionDialog({ api, items: known, anchor, onUndone, resolve }).show();
  });
}

/**
 * Say that corrections are saved, and offer for eight seconds to undo them.
 *
 * The time stands still while the pointer or the focus is on the notice. Control+Z undoes too.
 *
 * @param {object} options
 * @param {object} options.api Has `undoFeedback`.
 * @param {object[]} options.items Those without a correction are left out.
 * @param {(items: object[]) => void} [options.onUndone]
 * @param {Element} [options.anchor] Where the notice takes its theme from.
 * @param {string} [options.text] What the notice says instead of "Saved."
 */
export function showUndo({ api, items, onUndone = () => {}, anchor = document.body, text }) {
  const corrected = items.filter((item) => item.reply?.correction);
  if (corrected.length === 0) return;
  const many = corrected.length > 1;
  const saved = many ? t("correct.saved_many", { count: corrected.length }) : t("correct.saved");
  let left = corrected;
  const undo = async (notice) => {
    notice.say(t("correct.undoing"));
    const { done, failed } = await takeBack({ api, items: left });
    left = failed.map(({ item }) => item);
    if (done.length > 0) onUndone(done);
    if (failed.length === 0) notice.say(t("correct.undone"), { forMs: LAST_WORD_MS });
    else notice.say(t("correct.undo_failed", { detail: sentenceOfProblem(failed[0].problem) }), {
      action: t("correct.retry"), onAction: undo });
  };
  new Notice(anchor).say(text ?? saved, { action: t("correct.undo"), onAction: undo });
}

class CorrectionDialog {
  #api; #items; #anchor; #onUndone; #resolve;
  #saved = []; #corrected = []; #picturesLost = false; #stopped = false; #sending = null;
  #home = null; #takenBack = false; #failed = [];
  #urls = []; #id = `w-correct-${(dialogsSoFar += 1)}`;

  constructor({ api, items, anchor, onUndone, resolve }) {
    [this.#api, this.#items, this.#anchor] = [api, items, anchor];
    [this.#onUndone, this.#resolve] = [onUndone, resolve];
    this.title = h("h2", { id: `${this.#id}-title`, class: "w-correct-title", tabindex: "-1" });
    this.head = h("div", { class: "w-correct-head" });
    this.failures = h("div", { class: "w-correct-failures", role: "alert" });
    this.choices = h("fieldset", { class: "w-correct-choices" });
    this.progress = h("p", { class: "w-correct-progress", role: "status" });
    this.closing = h("button", {
      class: "w-correct-close", type: "button", "aria-label": t("correct.close"),
    });
    this.dialog = h("dialog", { class: "w-correct", "aria-labelledby": `${this.#id}-title` },
      h("div", { class: "w-correct-body" },
        this.head, this.failures, this.choices, this.progress, this.closing));
    this.#listen();
  }

  show() {
    this.#draw();
    this.#home = themeHome(this.#anchor);
    this.#home.append(this.dialog);
    this.dialog.showModal();
    this.title.focus();
  }

  #listen() {
    // The page around listens for keys and pastes of its own; those meant for us are ours.
    for (const kind of ["keydown", "paste"]) {
      this.dialog.addEventListener(kind, (event) => event.stopPropagation());
    }
    this.closing.addEventListener("click", () => this.dialog.close());
    let pressedOutside = false;
    this.dialog.addEventListener("pointerdown", (event) => {
      pressedOutside = event.target === this.dialog;
    });
    this.dialog.addEventListener("click", (event) => {
      if (pressedOutside && event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.#finish());
  }

  #draw() {
    const named = this.#items.filter(isNamed);
    this.#drawHead(named);
    this.search?.destroy();
    this.keep = null;
    const legend = h("legend", { class: "w-hidden-text" }, t("correct.choices"));
    this.choices.replaceChildren(legend);
    if (this.#items.some((item) => item.blob)) this.choices.append(this.#keepChoice());
    if (named.length === this.#items.length) this.choices.append(this.#rightButton());
    this.choices.append(...this.#chips(named.length === this.#items.length));
    this.search = new LabelSearch({
      api: this.#api, id: this.#id, onPick: (choice) => this.#send(choice),
    });
    this.choices.append(this.search.element);
  }

  #drawHead(named) {
    const count = this.#items.length;
    if (count > 1) this.title.textContent = t("correct.title_many", { count });
    else this.title.textContent = t(named.length ? "correct.title_right" : "correct.title_what");
    const words = h("div", { class: "w-correct-words" }, this.title);
    if (count === 1 && this.#items[0].reply?.answer) {
      words.append(h("p", { class: "w-correct-sentence" }, sentenceOf(this.#items[0].reply.answer)));
    }
    const corrected = this.#items.filter((item) => item.reply?.correction);
    if (corrected.length === count) words.append(this.#before(corrected));
    this.head.replaceChildren(this.#pictures(this.#items), words);
  }

  #before(items) {
    const { verdict, label, wnid } = items[0].reply.correction;
    const back = h("button", { class: "w-correct-link", type: "button" }, t("correct.take_back"));
    back.addEventListener("click", () => this.#takeBack(items));
    const line = h("p", { class: "w-correct-before" });
    if (items.length === 1) {
      line.append(t(`correct.now_${verdict}`, { label: label ? nameOf({ wnid, label }) : "" }), " ");
    }
    line.append(back);
    return line;
  }

  async #takeBack(items) {
    if (this.#sending) return;
    this.#setBusy(t("correct.undoing"));
    this.#sending = takeBack({ api: this.#api, items });
    const { done, failed } = await this.#sending;
    this.#sending = null;
    this.#setBusy(null);
    this.#takenBack = failed.length === 0;
    if (done.length > 0) this.#onUndone(done);
    if (failed.length > 0) this.#showFailures(failed, () => this.#takeBack(items));
    else if (this.dialog.open) this.dialog.close();
  }

  #pictures(items) {
    const stack = h("div", { class: items.length > 1 ? "w-correct-stack" : "w-correct-one" });
    for (const item of items.slice(0, PICTURES_SHOWN)) {
      stack.append(this.#picture(item, items.length > 1 ? "" : item.name));
    }
    const more = items.length - PICTURES_SHOWN;
    if (more > 0) stack.append(h("span", { class: "w-correct-more" }, `+${more}`));
    return stack;
  }

  #picture(item, alt) {
    const image = h("img", { class: "w-correct-picture", alt: alt ?? "" });
    let source = item.thumbnail;
    if (!source && item.blob) this.#urls.push(source = URL.createObjectURL(item.blob));
    image.addEventListener("error", () => image.replaceWith(blankPicture()));
    if (!source) return blankPicture();
    image.src = source;
    return image;
  }

  #keepChoice() {
    const count = this.#items.filter((item) => item.blob).length;
    this.keep = h("input", {
      type: "checkbox", id: `${this.#id}-keep`, "aria-describedby": `${this.#id}-where`,
    });
    return h("div", { class: "w-correct-keep" }, this.keep,
      h("label", { for: `${this.#id}-keep` }, t("correct.keep", { count })),
      h("p", { id: `${this.#id}-where` }, t("correct.keep_where", { count })));
  }

  #rightButton() {
    const text = t(this.#items.length > 1 ? "correct.right_many" : "correct.right");
    const button = h("button", { class: "w-correct-right", type: "button" }, text);
    button.addEventListener("click", () => this.#send({ verdict: "right" }));
    return button;
  }

  #chips(afterRight) {
    const row = h("div", { class: "w-correct-chips", role: "group" });
    for (const guess of guessesOf(this.#items)) {
      row.append(this.#chip(nameOf(guess), { verdict: "other", ...guess }));
    }
    const heading = h("p", { id: `${this.#id}-chips`, class: "w-correct-heading" },
      t(afterRight ? "correct.or_one_of" : "correct.one_of"));
    row.setAttribute("aria-labelledby", heading.id);
    const none = this.#chip(t("correct.none"), { verdict: "none", label: null, wnid: null });
    none.classList.add("w-correct-none");
    row.append(none);
    return [heading, row];
  }

  #chip(text, choice) {
    const chip = h("button", { class: "w-correct-chip", type: "button" }, text);
    chip.addEventListener("click", () => this.#send(choice));
    return chip;
  }

  async #send(choice) {
    const items = this.#items;
    let settled = 0;
    const say = () => this.#setBusy(items.length === 1 ? t("correct.saving")
      : t("correct.saving_many", { done: settled, count: items.length }));
    say();
    this.#sending = inParallel(items, (item) => this.#sendOne(item, choice).finally(() => {
      settled += 1;
      say();
    }), () => this.#stopped);
    const failed = await this.#sending;
    this.#sending = null;
    this.#setBusy(null);
    this.#failed = failed;
    if (!this.dialog.open) return;
    if (failed.length === 0) this.dialog.close();
    else this.#keepTrying(failed, choice);
  }

  async #sendOne(item, choice) {
    const picture = this.keep?.checked && item.blob ? item.blob : undefined;
    const { label, wnid } = choice.verdict === "right" ? item.reply.answer : choice;
    const { verdict } = choice;
    const sent = { sha256: digestOf(item), verdict, label, wnid, picture };
    const saved = await this.#api.sendFeedback(sent);
    const correction = { id: saved.id, verdict, label: saved.label, wnid: saved.wnid, at: saved.at };
    if (item.reply?.correction) before.set(correction, item.reply.correction);
    if (item.reply) item.reply.correction = correction;
    if (picture && saved.picture_kept === false) this.#picturesLost = true;
    this.#saved.push(correction);
    this.#corrected.push(item);
  }

  #keepTrying(failed, choice) {
    this.#items = failed.map(({ item }) => item);
    const keep = this.keep?.checked;
    this.#draw();
    if (this.keep) this.keep.checked = keep;
    this.#showFailures(failed, () => this.#send(choice));
    if (this.#saved.length > 0) {
      this.title.textContent = t("correct.title_left", { count: failed.length });
    }
  }

  #showFailures(failed, onRetry) {
    const list = h("ul", {});
    for (const { item, problem } of failed) {
      list.append(h("li", {}, this.#picture(item, ""), h("span", {},
        h("strong", {}, item.name ?? t("correct.not_saved")), " ", sentenceOfProblem(problem))));
    }
    const retry = h("button", { class: "w-correct-retry", type: "button" }, t("correct.retry"));
    retry.addEventListener("click", onRetry);
    this.failures.replaceChildren(list, retry);
    retry.focus();
  }

  #setBusy(text) {
    if (!this.dialog.open) return;
    this.progress.textContent = text ?? "";
    if (text && !this.choices.disabled) {
      this.failures.replaceChildren();
      this.search.close();
      this.title.focus(); // what had the focus is about to be disabled
    }
    this.choices.disabled = Boolean(text);
    this.dialog.classList.toggle("w-correct-busy", Boolean(text));
  }

  async #finish() {
    this.#stopped = true;
    this.search.destroy();
    const { activeElement } = this.#home.getRootNode(); // the browser gives the focus back itself
    const isLost = !activeElement || activeElement === document.body;
    if (isLost && this.#anchor?.isConnected) this.#anchor.focus?.();
    this.dialog.remove();
    const wasSending = Boolean(this.#sending);
    await this.#sending;
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#resolve(this.#saved.length > 0 ? this.#saved : null);
    this.#leaveWord(wasSending);
  }

  #leaveWord(wasSending) {
    const anchor = this.#anchor?.isConnected ? this.#anchor : this.#home;
    if (this.#saved.length > 0) {
      const text = this.#picturesLost ? t("correct.saved_without_picture") : undefined;
      const [api, items, onUndone] = [this.#api, this.#corrected, this.#onUndone];
      showUndo({ api, items, onUndone, anchor, text });
    } else if (this.#takenBack) {
      new Notice(anchor).say(t("correct.undone"), { forMs: LAST_WORD_MS });
    } else if (wasSending && this.#failed.length > 0) {
      const detail = sentenceOfProblem(this.#failed[0].problem);
      new Notice(anchor).say(t("correct.late_failure", { detail }), { forMs: TOAST_MS });
    }
  }
}

/** The combobox that searches the labels of the model and takes own words. */
class LabelSearch {
  #api; #id; #onPick; #timer = 0; #asked = 0; #choices = []; #active = -1;

  constructor({ api, id, onPick }) {
    [this.#api, this.#id, this.#onPick] = [api, id, onPick];
    this.input = h("input", {
      id: `${id}-search`, class: "w-correct-input", type: "text", role: "combobox",
      autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "search",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
      "aria-describedby": `${id}-hint`, placeholder: t("correct.search_hint"),
    });
    this.list = h("ul", {
      id: `${id}-list`, class: "w-correct-list", role: "listbox", "aria-label": t("correct.results"),
    });
    this.list.hidden = true;
    this.hint = h("p", { id: `${id}-hint`, class: "w-correct-hint", role: "status" });
    this.element = h("div", { class: "w-correct-search" },
      h("label", { for: `${id}-search`, class: "w-correct-heading" }, t("correct.search")),
      this.input, this.hint, this.list);
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#pressed(event));
    this.input.addEventListener("click", () => this.#open());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus
  }

  close() {
    this.list.hidden = true;
    this.#activate(-1);
    this.input.setAttribute("aria-expanded", "false");
  }

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
    if (!query) {
      this.#show([], query, "");
      return;
    }
    this.#timer = setTimeout(() => this.#ask(query), DEBOUNCE_MS);
  }

  async #ask(query) {
    const turn = this.#asked;
    this.#show([], query, t("correct.searching"));
    let found = [];
    let said = "";
    try {
      const reply = await this.#api.labels(query, { limit: LABELS_SHOWN });
      found = (Array.isArray(reply) ? reply : reply.labels).slice(0, LABELS_SHOWN);
      said = found.length ? t("correct.found", { count: found.length }) : t("correct.found_none");
    } catch (problem) {
      said = t("correct.search_failed", { detail: sentenceOfProblem(problem) });
    }
    if (turn === this.#asked) this.#show(found, query, said); // else: a later query is on its way
  }

  #show(found, query, said) {
    this.#choices = found.map((label) => ({ verdict: "other", label: label.label, wnid: label.wnid }));
    const options = found.map((label) => optionOf(label, query));
    const length = [...query].length;
    if (length > LONGEST_LABEL) {
      said = t("correct.own_too_long", { limit: LONGEST_LABEL, count: length });
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

  #pressed(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#move(step);
    else if (event.key === "Enter") this.#entered();
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else return;
    event.preventDefault(); // Escape leaves the dialog only where no list is open
  }

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
    const same = this.#choices.findIndex((choice) => choice.wnid && isSameWord(nameOf(choice), query));
    if (same >= 0) this.#pick(same);
    else this.#move(1);
  }

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

  #pick(position) {
    const choice = this.#choices[position];
    this.close();
    this.#onPick(choice);
  }
}

/** A line at the foot of the window; a new one takes the place of the one before. */
class Notice {
  static #current = null;
  #anchor; #root; #timer = 0; #until = 0; #left = 0; #ignore;

  constructor(anchor) {
    Notice.#current?.leave();
    Notice.#current = this;
    this.#anchor = anchor;
    const home = themeHome(anchor);
    this.#root = home.getRootNode();
    this.line = h("p", { class: "w-correct-notice-line", role: "status" });
    this.element = h("div", {
      class: "w-correct-notice", role: "region", "aria-label": t("correct.notice_area"),
    }, this.line);
    home.append(this.element);
    if (this.element.showPopover) {
      this.element.setAttribute("popover", "manual"); // above everything, whatever the page does
      this.element.showPopover();
    }
    this.#ignore = new AbortController();
    const { signal } = this.#ignore;
    for (const kind of ["pointerenter", "focusin"]) {
      this.element.addEventListener(kind, () => this.#pause(), { signal });
    }
    for (const kind of ["pointerleave", "focusout"]) {
      this.element.addEventListener(kind, () => this.#resume(), { signal });
    }
    document.addEventListener("keydown", (event) => this.#pressed(event), { signal });
  }

  /** Show a text, with a button if there is an action; without an end if neither lasts. */
  say(text, { action, onAction, forMs = action ? TOAST_MS : 0 } = {}) {
    clearTimeout(this.#timer);
    this.onAction = onAction;
    const hadFocus = this.element.contains(this.#root.activeElement);
    const words = h("span", { class: "w-correct-notice-text", tabindex: "-1" });
    this.line.replaceChildren(words);
    // A region is read out only if its text comes after it.
    requestAnimationFrame(() => { words.textContent = text; });
    if (action) {
      const button = h("button", {
        class: "w-correct-undo", type: "button", "aria-keyshortcuts": "Control+Z Meta+Z",
      }, action);
      button.addEventListener("click", () => this.#act());
      this.line.append(" ", button);
    }
    if (hadFocus) (this.line.querySelector("button") ?? words).focus();
    this.#left = forMs;
    this.#timer = 0;
    if (forMs) this.#resume();
  }

  leave() {
    clearTimeout(this.#timer);
    this.#ignore.abort();
    const hadFocus = this.element.contains(this.#root.activeElement);
    this.element.remove();
    if (hadFocus && this.#anchor.isConnected) this.#anchor.focus?.();
    if (Notice.#current === this) Notice.#current = null;
  }

  #act() {
    const act = this.onAction;
    this.onAction = null;
    act?.(this);
  }

  #pressed(event) {
    const writing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    if (!isUndo || writing || !this.onAction) return;
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
    const { activeElement } = this.#root;
    const isHeld = this.element.matches(":hover")
      || (activeElement?.matches("button") && this.element.contains(activeElement));
    if (this.#timer || !this.#left || isHeld) return;
    this.#until = Date.now() + this.#left;
    this.#timer = setTimeout(() => this.leave(), this.#left);
  }
}

/** Take corrections back; what the server no longer knows counts as taken back. */
async function takeBack({ api, items }) {
  const done = [];
  const failed = await inParallel(items, async (item) => {
    try {
      await api.undoFeedback(item.reply.correction.id);
    } catch (problem) {
      if (problem?.status !== 404) throw problem;
    }
    const previous = before.get(item.reply.correction);
    if (previous) item.reply.correction = previous;
    else delete item.reply.correction;
    done.push(item);
  });
  return { done, failed };
}

/** Work on all items, few at once; the ones that failed, each with what was thrown. */
async function inParallel(items, work, isStopped = () => false) {
  const waiting = [...items];
  const failed = [];
  const worker = async () => {
    while (waiting.length > 0 && !isStopped()) {
      const item = waiting.shift();
      try {
        await work(item);
      } catch (problem) {
        failed.push({ item, problem });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  const order = new Map(items.map((item, position) => [item, position]));
  return failed.sort((one, other) => order.get(one.item) - order.get(other.item));
}

/** The model's other guesses over all pictures, most likely first. */
function guessesOf(items) {
  const found = new Map();
  for (const { reply } of items) {
    const isStated = items.length === 1 && isNamed(items[0]);
    for (const { label, wnid, score } of reply?.top ?? []) {
      if (isStated && label === reply.answer?.label) continue;
      const key = wnid ?? label;
      const guess = found.get(key) ?? { label, wnid, score: 0 };
      guess.score += score;
      found.set(key, guess);
    }
  }
  return [...found.values()].sort((one, other) => other.score - one.score).slice(0, MOST_CHIPS)
    .map(({ label, wnid }) => ({ label, wnid }));
}

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

/** The text in pieces, the part that fits the query marked. */
function withMark(text, query) {
  const at = text.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0 || !query) return [text];
  const end = at + query.length;
  return [text.slice(0, at), h("mark", {}, text.slice(at, end)), text.slice(end)];
}

/** The outermost element around that has the theme: what stands there looks like the page. */
function themeHome(anchor) {
  if (!anchor?.isConnected) return document.body;
  const isThemed = (element) => getComputedStyle(element).getPropertyValue("--w-surface").trim();
  let home = document.body;
  for (let up = anchor; up && up !== document.documentElement; up = up.parentElement) {
    if (isThemed(up)) home = up;
  }
  return home.matches("button, a, input") ? home.getRootNode() : home; // its host has the theme
}

function blankPicture() {
  return h("span", { class: "w-correct-picture w-correct-blank" });
}

function digestOf(item) {
  return item.sha256 ?? item.reply?.image?.sha256 ?? null;
}

/** Whether the sentence names something that can be right. */
function isNamed({ reply }) {
  const answer = reply?.answer;
  return Boolean(answer?.label) && answer.recognised !== false && answer.certainty !== "unsure";
}

function isSameWord(one, other) {
  return one.localeCompare(other, undefined, { sensitivity: "base" }) === 0;
}

function sentenceOfProblem(problem) {
  return problem?.detail || t("correct.no_connection");
}
