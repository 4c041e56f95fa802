/** A grid of many answered pictures, with filters, selection and export. */

import { t } from "../i18n.js";
import { button, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { createActions } from "./actions.js";
import { createBar } from "./bar.js";
import { describe } from "./entry.js";
import { applyFilter, emptyFilter, formatFilter, isActive, parseFilter } from "./filter.js";
import { destination } from "./keys.js";
import { createLink } from "./link.js";
import { createExportMenu } from "./menu.js";
import { createPager } from "./pager.js";
import { Selection } from "./selection.js";
import { Tiles } from "./tiles.js";

const PAGE_SIZE = 60;

/** @typedef {import("../item.js").Item} Item */
/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./filter.js").Filter} Filter */

/**
 * A gallery that shows itself with the first item.
 *
 * Items belong to the page: they are neither copied nor changed here, and neither are their
 * thumbnails' addresses revoked. `update` has to follow each change of an item.
 */
export class Gallery {
  #onOpen;
  #onCorrect;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  #arrived = 0;
  /** @type {Entry[]} Those that the filter lets through, on all pages. */
  #shown = [];
  #page = 1;
  #selection = new Selection();
  #isSelecting = false;
  #frame = 0;
  #isFocusNext = false;
  #isCountSaid = false;
  #isFollowed = false;
  #collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  #leaving = new AbortController();

  /**
   * @param {object} options
   * @param {Element} options.root
   * @param {(item: Item) => void} options.onOpen A person wants to see one picture.
   * @param {(items: Item[]) => void} options.onCorrect A person wants to correct answered ones.
   */
  constructor({ root, onOpen, onCorrect }) {
    this.#onOpen = onOpen;
    this.#onCorrect = onCorrect;
    const { signal } = this.#leaving;
    this.link = createLink({ onChange: (query) => this.#follow(parseFilter(query)), signal });
    this.filter = parseFilter(this.link.read());
    this.menu = createExportMenu({
      scopes: () => this.#scopes(),
      say: (sentence) => this.#say(sentence),
      signal,
    });
    this.bar = createBar({
      start: this.filter,
      exporter: this.menu.element,
      onFilter: (filter, isTyping = false) => this.#choose(filter, isTyping),
      onSelecting: () => this.#setSelecting(!this.#isSelecting),
    });
    this.tiles = new Tiles();
    this.tiles.element.addEventListener("click", (event) => this.#click(event));
    this.tiles.element.addEventListener("keydown", (event) => this.#key(event));
    this.tiles.element.addEventListener("focusin", (event) => this.#arrive(event.target));
    this.empty = this.#buildEmpty();
    this.pager = createPager({ onPage: (page) => this.#turn(page) });
    this.said = h("p", { class: "w-gallery-said", role: "status" });
    this.actions = createActions({
      onSelectAll: () => this.#selectAll(),
      onCorrect: () => this.#onCorrect(this.#correctable()),
      onExport: () => this.#openMenu(),
      onClear: () => this.#dropSelection(),
    });
    const area = { class: "w-gallery", "aria-label": t("gallery.title"), hidden: true };
    const above = [this.bar.element, this.said];
    const below = [this.empty, this.pager.element, this.actions.element];
    this.section = h("section", area, ...above, this.tiles.element, ...below);
    this.section.addEventListener("keydown", (event) => this.#escape(event));
    root.append(this.section);
  }

  #buildEmpty() {
    const onclick = () => {
      this.#choose({ ...emptyFilter(), sort: this.filter.sort });
      this.#focusCurrent();
    };
    return h(
      "div",
      { class: "w-empty", hidden: true },
      icon("search"),
      h("p", { class: "w-empty-words" }, t("gallery.empty")),
      h("p", { class: "w-empty-hint" }, t("gallery.empty.hint")),
      button({ class: "w-button w-button-main", onclick }, t("gallery.clear")),
    );
  }

  // What the page does.

  /** @param {Item} item */
  add(item) {
    const order = this.#entries.get(item.id)?.order ?? ++this.#arrived;
    this.#entries.set(item.id, describe(item, order));
    this.#schedule();
  }

  /** @param {Item} item */
  update(item) {
    if (this.#entries.has(item.id)) this.add(item);
  }

  /** @param {string} id */
  remove(id) {
    if (!this.#entries.delete(id)) return;
    this.#selection.remove(id);
    this.#schedule();
  }

  /** Remove all items, and the filter. */
  clear() {
    this.#entries.clear();
    this.#dropSelection();
    this.#choose(emptyFilter());
  }

  /** @returns {Item[]} In order of arrival. */
  items() {
    return Array.from(this.#entries.values(), (entry) => entry.item);
  }

  /** Leave the page for good. */
  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#leaving.abort();
    this.bar.stop();
    this.section.remove();
    this.#entries.clear();
    this.tiles.clear();
    this.#shown = [];
  }

  // What the person does.

  /**
   * @param {Filter} filter
   * @param {boolean} [isTyping]
   */
  #choose(filter, isTyping = false) {
    const isSameText = this.filter.text.trim() !== "" && filter.text !== "";
    this.filter = filter;
    if (isTyping && isSameText) this.link.replace(formatFilter(filter));
    else this.link.push(formatFilter(filter));
    this.#schedule(true);
  }

  /** @param {Filter} filter */
  #follow(filter) {
    this.filter = filter;
    this.#isFollowed = true;
    this.#schedule(true);
  }

  /** @param {number} page */
  #turn(page) {
    this.#choose({ ...this.filter, page });
    this.tiles.current = null;
    this.section.scrollIntoView({ block: "start", behavior: "instant" });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const id = this.tiles.idOf(event.target);
    if (id === null) return;
    const before = this.tiles.current;
    this.tiles.current = id;
    const isMark = event.target instanceof Element && event.target.closest(".w-tile-mark");
    const isToggle = isMark || event.ctrlKey || event.metaKey || this.#isSelecting;
    this.#schedule();
    if (event.shiftKey) this.#selection.extendTo(id, this.#order(), before ?? id);
    else if (isToggle) this.#selection.toggle(id);
    else this.#open(id);
  }

  /** @param {string} id */
  #open(id) {
    const entry = this.#entries.get(id);
    if (entry) this.#onOpen(entry.item);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const id = this.tiles.idOf(event.target);
    if (id === null) return;
    if (event.key === "Enter") this.#open(id);
    else if (event.key === " ") {
      if (event.shiftKey) this.#selection.extendTo(id, this.#order(), id);
      else this.#selection.toggle(id);
      this.#schedule();
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      this.#selectAll();
    } else {
      const place = this.#shown.findIndex((entry) => entry.id === id);
      const count = this.#shown.length;
      const grid = { place, count, columns: this.tiles.columns, pageSize: PAGE_SIZE };
      const target = destination(event, grid);
      if (target === null) return;
      this.#moveTo(target, event.shiftKey ? id : null);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {number} place
   * @param {string | null} rangeStart Where a range begins that reaches to there.
   */
  #moveTo(place, rangeStart) {
    const { id } = this.#shown[place];
    this.tiles.current = id;
    if (rangeStart !== null) this.#selection.extendTo(id, this.#order(), rangeStart);
    const page = Math.floor(place / PAGE_SIZE) + 1;
    if (page !== this.#page) {
      this.filter = { ...this.filter, page };
      this.link.replace(formatFilter(this.filter));
    }
    this.#focusCurrent();
  }

  /** @param {KeyboardEvent} event */
  #escape(event) {
    if (event.key !== "Escape" || (this.#selection.size === 0 && !this.#isSelecting)) return;
    event.stopPropagation();
    this.#dropSelection();
  }

  /** @param {EventTarget | null} target */
  #arrive(target) {
    const id = this.tiles.idOf(target);
    if (id !== null && id !== this.tiles.current) this.tiles.current = id;
  }

  #selectAll() {
    this.#selection.add(this.#order());
    this.#schedule();
  }

  #dropSelection() {
    const hadFocus = this.actions.hasFocus();
    this.#selection.clear();
    this.#isSelecting = false;
    if (hadFocus) this.#focusCurrent();
    else this.#schedule();
  }

  /** @param {boolean} isSelecting Whether a tap selects. */
  #setSelecting(isSelecting) {
    this.#isSelecting = isSelecting;
    this.#schedule();
  }

  #openMenu() {
    this.menu.element.scrollIntoView({ block: "center", behavior: "instant" });
    this.menu.open();
  }

  // What is shown.

  /** @param {boolean} [isCountSaid] Whether to say how many match. */
  #schedule(isCountSaid = false) {
    this.#isCountSaid ||= isCountSaid;
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #focusCurrent() {
    this.#isFocusNext = true;
    this.#schedule();
  }

  #render() {
    const entries = [...this.#entries.values()];
    this.#shown = applyFilter(entries, this.filter, this.#collator);
    const last = Math.max(1, Math.ceil(this.#shown.length / PAGE_SIZE));
    this.#page = Math.min(this.filter.page, last);
    this.section.hidden = entries.length === 0;
    const { filter } = this;
    this.bar.show({
      entries,
      filter,
      shown: this.#shown.length,
      isFollowed: this.#isFollowed,
      isSelecting: this.#isSelecting,
    });
    this.#renderTiles();
    this.pager.show(this.#page, last);
    this.empty.hidden = this.#shown.length > 0 || entries.length === 0;
    const seen = this.#shown.filter(({ id }) => this.#selection.has(id)).length;
    const correctable = this.#correctable().length;
    const counts = { seen, correctable, selected: this.#selection.size, shown: this.#shown.length };
    this.actions.show(counts, isActive(filter));
    if (this.#isCountSaid) {
      const words = { count: this.#shown.length, total: entries.length };
      this.#say(isActive(filter) ? t("gallery.matches", words) : "", true);
    }
    this.#isCountSaid = false;
    this.#isFollowed = false;
  }

  #renderTiles() {
    const begin = (this.#page - 1) * PAGE_SIZE;
    this.tiles.show(this.#shown.slice(begin, begin + PAGE_SIZE), {
      isSelected: (id) => this.#selection.has(id),
      isSelecting: this.#isSelecting || this.#selection.size > 0,
      isFocused: this.#isFocusNext,
    });
    this.#isFocusNext = false;
  }

  /**
   * Have a sentence read aloud, and shown too.
   *
   * @param {string} sentence
   * @param {boolean} [isSeenElsewhere] Then it is only read aloud.
   */
  #say(sentence, isSeenElsewhere = false) {
    this.said.classList.toggle("w-echo", isSeenElsewhere);
    setText(this.said, sentence);
  }

  // What can be known of it.

  #order() {
    return this.#shown.map((entry) => entry.id);
  }

  #selectedItems() {
    const chosen = [...this.#entries.values()].filter(({ id }) => this.#selection.has(id));
    return chosen.map((entry) => entry.item);
  }

  #correctable() {
    return this.#selectedItems().filter((item) => item.state === "done" && item.reply);
  }

  #scopes() {
    const matching = applyFilter([...this.#entries.values()], this.filter, this.#collator);
    return {
      all: this.items(),
      matching: matching.map((entry) => entry.item),
      selected: this.#selectedItems(),
      isFiltered: isActive(this.filter),
    };
  }
}
