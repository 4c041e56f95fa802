/** The list of earlier answers: by day, newest first, with what each entry can do. */

import { nameOf, sentenceOf, t } from "../i18n.js";
import { button, focused, h } from "../lib/dom.js";
import { reconcile } from "../lib/list.js";
import { newestFirst } from "./answers.js";
import { ForgetAll } from "./forget-all.js";
import { dayInWords, timeInWords } from "./times.js";

const SHOWN_AT_ONCE = 30;
const TIMES_EVERY_MS = 30_000;

/** @typedef {import("./shelf.js").HistoryEntry} HistoryEntry */
/** @typedef {{state: string, element: HTMLElement, time: HTMLElement}} Row */

let lists = 0;

export class AnswerList {
  #answers;
  #onOpen;
  #shown = SHOWN_AT_ONCE;
  /** @type {Map<string, Row>} By the digest of the picture. */
  #rows = new Map();
  /** @type {Map<string, {section: HTMLElement, title: HTMLElement, list: HTMLElement}>} */
  #days = new Map();
  #drawing = 0;
  #leaving = new AbortController();

  /**
   * @param {object} options
   * @param {Element} options.root Gets the list.
   * @param {import("./answers.js").Answers} options.answers
   * @param {(entry: HistoryEntry) => void} options.onOpen Called also for what the server forgot.
   */
  constructor({ root, answers, onOpen }) {
    this.#answers = answers;
    this.#onOpen = onOpen;
    const id = `w-history-${++lists}`;
    this.title = h("h2", { id, class: "w-history-title", tabindex: "-1" }, t("history.title"));
    this.forget = new ForgetAll({
      id: `${id}-sure`,
      count: () => answers.entries.size,
      onForget: () => this.#forgetAll(),
      onClose: () => this.title.focus(),
    });
    this.trouble = h("p", { class: "w-history-trouble", role: "status" });
    this.empty = h("p", { class: "w-history-empty", hidden: true }, t("history.empty"));
    this.days = h("div", { class: "w-history-days" });
    const onclick = () => this.#showMore();
    this.more = button({ class: "w-history-button w-history-more", hidden: true, onclick });
    this.said = h("p", { class: "w-history-said", role: "status" });
    this.element = h(
      "section",
      { class: "w-history", "aria-labelledby": id },
      h("header", { class: "w-history-head" }, this.title, this.forget.opener),
      h("p", { class: "w-history-private" }, t("history.private")),
      this.forget.element,
      this.trouble,
      this.empty,
      this.days,
      this.more,
      this.said,
    );
    root.append(this.element);
    const look = (/** @type {IntersectionObserverEntry[]} */ seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) this.#load(target);
    };
    this.watch = new IntersectionObserver(look, { rootMargin: "300px" });
    this.timer = setInterval(() => this.#showTimes(), TIMES_EVERY_MS);
    const draw = () => {
      this.#drawing ||= requestAnimationFrame(() => this.#draw());
    };
    answers.addEventListener("change", draw, { signal: this.#leaving.signal });
  }

  /** Take the list away; the answers stay. */
  destroy() {
    this.#leaving.abort();
    this.watch.disconnect();
    clearInterval(this.timer);
    cancelAnimationFrame(this.#drawing);
    this.element.remove();
  }

  #draw() {
    this.#drawing = 0;
    const all = newestFirst(this.#answers.entries);
    const byDay = groupByDay(all.slice(0, this.#shown));
    const sections = [...byDay].map(([day, entries]) => this.#drawDay(day, entries));
    reconcile(this.days, sections);
    for (const day of this.#days.keys()) if (!byDay.has(day)) this.#days.delete(day);
    for (const [sha256, { element }] of this.#rows) {
      if (!element.isConnected) this.#rows.delete(sha256);
    }
    const left = all.length - this.#shown;
    this.more.hidden = left <= 0;
    this.more.textContent = t("history.more", { count: Math.max(left, 0) });
    this.empty.hidden = all.length > 0;
    this.forget.show();
    const { trouble } = this.#answers;
    this.trouble.textContent = trouble ? t(`history.${trouble}`) : "";
  }

  /**
   * @param {string} day
   * @param {HistoryEntry[]} entries
   */
  #drawDay(day, entries) {
    const known = this.#days.get(day);
    const title = known?.title ?? h("h3");
    const list = known?.list ?? h("ul");
    const section = known?.section ?? h("section", { class: "w-history-day" }, title, list);
    this.#days.set(day, { section, title, list });
    title.textContent = dayInWords(entries[0].at);
    const rows = entries.map((entry) => this.#drawRow(entry));
    reconcile(list, rows);
    return section;
  }

  /** @param {HistoryEntry} entry */
  #drawRow(entry) {
    const state = JSON.stringify([entry.at, entry.sentence, entry.correction]);
    const row = this.#rows.get(entry.sha256);
    if (row?.state === state) return row.element;
    const next = this.#row(entry);
    const hadFocus = row?.element.contains(focused(row.element));
    this.#rows.set(entry.sha256, { state, ...next });
    if (hadFocus) queueMicrotask(() => next.element.querySelector("button")?.focus());
    return next.element;
  }

  /** @param {HistoryEntry} entry */
  #row(entry) {
    const { sha256, at } = entry;
    const sentence = sentenceOf(entry.reply.answer);
    const image = h("span", { class: "w-history-picture" });
    const time = h("time", { datetime: new Date(at).toISOString() }, timeInWords(at));
    const words = h(
      "span",
      { class: "w-history-words" },
      h("span", { class: "w-history-sentence" }, sentence),
      entry.correction &&
        h("span", { class: "w-history-corrected" }, correctionOf(entry.correction)),
      h("span", { class: "w-history-time" }, time),
    );
    const open = { class: "w-history-open", onclick: () => this.#open(sha256) };
    const remove = {
      class: "w-history-remove",
      "aria-label": t("history.remove", { sentence }),
      onclick: () => this.#remove(sha256),
    };
    const row = { class: "w-history-entry", "data-sha256": sha256 };
    const element = h("li", row, button(open, image, words), button(remove));
    if (entry.thumbnail) this.watch.observe(image);
    return { element, time };
  }

  /**
   * Show the picture of a row that comes into view; its address lives only until it is drawn.
   *
   * @param {Element} place
   */
  #load(place) {
    this.watch.unobserve(place);
    const entry = this.#answers.entries.get(place.closest("li")?.dataset.sha256 ?? "");
    if (!entry?.thumbnail) return;
    const image = h("img", { alt: "" });
    const address = URL.createObjectURL(entry.thumbnail);
    image.addEventListener("load", () => URL.revokeObjectURL(address));
    image.addEventListener("error", () => {
      URL.revokeObjectURL(address);
      image.remove();
    });
    image.src = address;
    place.replaceChildren(image);
  }

  /** @param {string} sha256 */
  #open(sha256) {
    const entry = this.#answers.entries.get(sha256);
    if (!entry) return;
    const { correction, reply } = entry;
    this.#onOpen({ ...entry, reply: correction ? { ...reply, correction } : { ...reply } });
  }

  /** @param {string} sha256 */
  async #remove(sha256) {
    const rows = this.#items().filter((row) => !row.hidden);
    const at = rows.findIndex((row) => row.dataset.sha256 === sha256);
    const next = rows[at + 1] ?? rows[at - 1];
    /** @type {HTMLElement} */
    const holder = next?.querySelector(".w-history-remove") ?? this.title;
    holder.focus();
    rows[at].hidden = true; // at once, so that the next removal does not go by it
    const isRemoved = await this.#attempt(() => this.#answers.remove(sha256), "history.removed");
    if (!isRemoved) rows[at].hidden = false;
  }

  #showMore() {
    const before = this.#items().length;
    this.#shown += SHOWN_AT_ONCE * 2;
    this.#draw();
    this.#items()[before]?.querySelector("button")?.focus();
  }

  #items() {
    return [...this.days.querySelectorAll("li")];
  }

  async #forgetAll() {
    this.title.focus();
    await this.#attempt(() => this.#answers.forgetAll(), "history.forgotten");
  }

  /**
   * @param {() => Promise<void>} work
   * @param {string} done The key of what is said then.
   */
  async #attempt(work, done) {
    try {
      await work();
      this.#say(t(done));
      return true;
    } catch {
      this.#say(t("history.forget_failed"));
      return false;
    }
  }

  /** @param {string} text */
  #say(text) {
    this.said.textContent = "";
    setTimeout(() => {
      this.said.textContent = text;
    }, 50); // the same word twice is read twice
  }

  #showTimes() {
    for (const [sha256, { time }] of this.#rows) {
      const entry = this.#answers.entries.get(sha256);
      if (entry) time.textContent = timeInWords(entry.at);
    }
    for (const [day, { title }] of this.#days) {
      title.textContent = dayInWords(new Date(day).getTime());
    }
  }
}

/**
 * @param {HistoryEntry[]} entries
 * @returns {Map<string, HistoryEntry[]>} In the same order.
 */
function groupByDay(entries) {
  const days = new Map();
  for (const entry of entries) {
    const day = new Date(entry.at).toDateString();
    const others = days.get(day);
    if (others) others.push(entry);
    else days.set(day, [entry]);
  }
  return days;
}

/** @param {import("../api.js").Correction} correction */
function correctionOf({ verdict, label, wnid }) {
  return t(`history.corrected_${verdict}`, { label: label ? nameOf({ wnid, label }) : "" });
}
