/** A grid of many answered pictures, with filters, selection and export. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { createBar } from "./gallery-bar.js";
import { describe } from "./gallery-entry.js";
import { arrange, emptyFilter, formatFilter, isActive, parseFilter } from "./gallery-filter.js";
import { createLink } from "./gallery-link.js";
import { createExportMenu } from "./gallery-menu.js";
import { button, focused, icon, reconcile, setAttribute, setText } from "./gallery-nodes.js";
import { createPager } from "./gallery-pager.js";
import { Selection } from "./gallery-selection.js";
import { fillTile, makeTile } from "./gallery-tile.js";

const PAGE_SIZE = 60;
const NEAR = { ArrowLeft: -1, ArrowRight: 1 };

let galleries = 0;

class Gallery {
  #onOpen;
  #onCorrect;
  #entries = new Map();
  #arrived = 0;
  #shown = [];
  #page = 1;
  #current = null; // the id of the tile that Tab reaches
  #tiles = new Map();
  #selection = new Selection();
  #selecting = false;
  #frame = 0;
  #focusNext = false;
  #prefix = `w-tile-${(galleries += 1)}-`;
  #tilesMade = 0;
  #telling = false;
  #followed = false;
  #collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  #leaving = new AbortController();

  constructor({ root, onOpen, onCorrect }) {
    this.#onOpen = onOpen;
    this.#onCorrect = onCorrect;
    const signal = this.#leaving.signal;
    this.link = createLink({ onChange: (query) => this.#follow(parseFilter(query)), signal });
    this.filter = parseFilter(this.link.read());
    this.#build(signal);
    this.section.hidden = true;
    root.append(this.section);
  }

  #build(signal) {
    this.menu = createExportMenu({
      scopes: () => this.#scopes(),
      say: (sentence) => this.#tell(sentence),
      signal,
    });
    this.bar = createBar({
      start: this.filter,
      exporter: this.menu.element,
      onFilter: (filter, typing = false) => this.#choose(filter, typing),
      onSelecting: () => this.#setSelecting(!this.#selecting),
    });
    this.list = h("div", { class: "w-tiles", role: "listbox", "aria-multiselectable": "true" });
    this.list.setAttribute("aria-label", t("gallery.list"));
    this.list.setAttribute("aria-description", t("gallery.list.keys"));
    this.list.addEventListener("click", (event) => this.#click(event));
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("focusin", (event) => this.#arrive(event.target));
    this.empty = this.#buildEmpty();
    this.pager = createPager({ onPage: (page) => this.#turn(page) });
    this.said = h("p", { class: "w-gallery-said", role: "status" });
    this.actions = this.#buildActions();
    this.section = h("section", { class: "w-gallery", "aria-label": t("gallery.title") });
    const parts = [this.bar.element, this.said, this.list, this.empty];
    this.section.append(...parts, this.pager.element, this.actions);
    this.section.addEventListener("keydown", (event) => this.#escape(event));
  }

  #buildEmpty() {
    const clear = () => {
      this.#choose({ ...emptyFilter(), sort: this.filter.sort });
      this.#focusCurrent();
    };
    const words = h("p", { class: "w-empty-words" }, t("gallery.empty"));
    const hint = h("p", { class: "w-empty-hint" }, t("gallery.empty.hint"));
    const reset = button("w-button w-button-main", [t("gallery.clear")], clear);
    const made = h("div", { class: "w-empty" }, icon("search"), words, hint, reset);
    made.hidden = true;
    return made;
  }

  #buildActions() {
    this.selectedWords = h("p", { class: "w-selected-words" });
    this.everything = button("w-link", [], () => this.#selectAll());
    const words = [icon("pen"), t("gallery.correct")];
    this.correct = button("w-button w-button-main", words, () => this.#onCorrect(this.#correctable()));
    const save = [icon("save"), h("span", { class: "w-button-words" }, t("gallery.export"))];
    const exportSelected = button("w-button", save, () => this.#openMenu());
    const drop = button("w-button w-button-bare", [icon("close")], () => this.#dropSelection());
    drop.setAttribute("aria-label", t("gallery.selected.clear"));
    const made = h("div", { class: "w-selected", role: "group" });
    made.setAttribute("aria-label", t("gallery.selected"));
    made.append(this.selectedWords, this.everything, this.correct, exportSelected, drop);
    made.hidden = true;
    return made;
  }

  // What the page does.

  add(item) {
    const order = this.#entries.get(item.id)?.order ?? (this.#arrived += 1);
    this.#entries.set(item.id, describe(item, order));
    this.#schedule();
  }

  update(item) {
    if (this.#entries.has(item.id)) this.add(item);
  }

  remove(id) {
    if (!this.#entries.delete(id)) return;
    this.#selection.remove(id);
    this.#schedule();
  }

  clear() {
    this.#entries.clear();
    this.#dropSelection();
    this.#choose(emptyFilter());
  }

  items() {
    return Array.from(this.#entries.values(), (entry) => entry.item);
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#leaving.abort();
    this.bar.stop();
    this.section.remove();
    this.#entries.clear();
    this.#tiles.clear();
    this.#shown = [];
  }

  // What the person does.

  #choose(filter, typing = false) {
    const same = isActive(this.filter) && this.filter.text !== "" && filter.text !== "";
    this.filter = filter;
    if (typing && same) this.link.replace(formatFilter(filter));
    else this.link.push(formatFilter(filter));
    this.#schedule(true);
  }

  #follow(filter) {
    this.filter = filter;
    this.#followed = true;
    this.#schedule(true);
  }

  #turn(page) {
    this.#choose({ ...this.filter, page });
    this.#current = null;
    this.section.scrollIntoView({ block: "start", behavior: "instant" });
  }

  #click(event) {
    const id = this.#idOf(event.target);
    if (id === null) return;
    const chosen = this.#current;
    this.#current = id;
    const mark = event.target.closest(".w-tile-mark");
    if (event.shiftKey) this.#selection.extendTo(id, this.#order(), chosen ?? id);
    else if (mark || event.ctrlKey || event.metaKey || this.#selecting) this.#selection.toggle(id);
    else {
      this.#schedule();
      this.#onOpen(this.#entries.get(id).item);
      return;
    }
    this.#schedule();
  }

  #key(event) {
    const id = this.#idOf(event.target);
    if (id === null) return;
    const place = this.#shown.findIndex((entry) => entry.id === id);
    if (event.key === "Enter") this.#onOpen(this.#entries.get(id).item);
    else if (event.key === " ") {
      if (event.shiftKey) this.#selection.extendTo(id, this.#order(), id);
      else this.#selection.toggle(id);
      this.#schedule();
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      this.#selectAll();
    } else {
      const target = this.#destination(event, place);
      if (target === null) return;
      this.#moveTo(target, event.shiftKey ? id : null);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** The place that a key leads to; null for keys that lead nowhere. */
  #destination({ key, ctrlKey, metaKey, altKey }, place) {
    const last = this.#shown.length - 1;
    const begin = (this.#page - 1) * PAGE_SIZE;
    const end = Math.min(begin + PAGE_SIZE - 1, last);
    if (altKey) return null;
    if (key in NEAR) return Math.min(Math.max(place + NEAR[key], 0), last);
    if (key === "ArrowUp") return place - this.#columns() >= 0 ? place - this.#columns() : place;
    if (key === "ArrowDown") return Math.min(place + this.#columns(), last);
    if (key === "Home") return ctrlKey || metaKey ? 0 : begin;
    if (key === "End") return ctrlKey || metaKey ? last : end;
    if (key === "PageUp") return Math.max(place - PAGE_SIZE, 0);
    if (key === "PageDown") return Math.min(place + PAGE_SIZE, last);
    return null;
  }

  #moveTo(place, rangeStart) {
    const id = this.#shown[place].id;
    this.#current = id;
    if (rangeStart !== null) this.#selection.extendTo(id, this.#order(), rangeStart);
    const page = Math.floor(place / PAGE_SIZE) + 1;
    if (page !== this.#page) {
      this.filter = { ...this.filter, page };
      this.link.replace(formatFilter(this.filter));
    }
    this.#focusCurrent();
  }

  #escape(event) {
    if (event.key !== "Escape" || (this.#selection.size === 0 && !this.#selecting)) return;
    event.stopPropagation();
    this.#dropSelection();
  }

  #arrive(target) {
    const id = this.#idOf(target);
    if (id === null || id === this.#current) return;
    this.#current = id;
    this.#showCurrent();
  }

  #selectAll() {
    this.#selection.add(this.#order());
    this.#schedule();
  }

  #dropSelection() {
    const within = this.actions.contains(focused(this.section));
    this.#selection.clear();
    this.#selecting = false;
    if (within) this.#focusCurrent();
    else this.#schedule();
  }

  #setSelecting(selecting) {
    this.#selecting = selecting;
    this.#schedule();
  }

  #openMenu() {
    this.menu.element.scrollIntoView({ block: "center", behavior: "instant" });
    this.menu.open();
  }

  // What is shown.

  #schedule(tell = false) {
    this.#telling ||= tell;
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #focusCurrent() {
    this.#focusNext = true;
    this.#schedule();
  }

  #render() {
    const entries = [...this.#entries.values()];
    this.#shown = arrange(entries, this.filter, this.#collator);
    const last = Math.max(1, Math.ceil(this.#shown.length / PAGE_SIZE));
    this.#page = Math.min(this.filter.page, last);
    this.section.hidden = entries.length === 0;
    const { filter } = this;
    const counts = { shown: this.#shown.length, selecting: this.#selecting };
    this.bar.show({ entries, filter, followed: this.#followed, ...counts });
    this.#renderTiles();
    this.pager.show(this.#page, last);
    this.empty.hidden = this.#shown.length > 0 || entries.length === 0;
    this.#renderActions();
    if (this.#telling) {
      const words = { count: this.#shown.length, total: entries.length };
      this.#tell(isActive(filter) ? t("gallery.matches", words) : "", true);
    }
    this.#telling = false;
    this.#followed = false;
  }

  #renderTiles() {
    const begin = (this.#page - 1) * PAGE_SIZE;
    const page = this.#shown.slice(begin, begin + PAGE_SIZE);
    const held = this.list.contains(focused(this.list));
    const before = [...this.list.children].findIndex((tile) => tile === focused(this.list));
    const ids = new Set(page.map((entry) => entry.id));
    for (const id of this.#tiles.keys()) if (!ids.has(id)) this.#tiles.delete(id);
    reconcile(this.list, page.map((entry) => this.#tileOf(entry)));
    this.list.hidden = page.length === 0;
    this.list.classList.toggle("w-selecting", this.#selecting || this.#selection.size > 0);
    if (!ids.has(this.#current)) {
      this.#current = page[Math.min(Math.max(before, 0), page.length - 1)]?.id ?? null;
    }
    this.#showCurrent();
    const lost = held && !this.list.contains(focused(this.list));
    if (this.#focusNext || lost) this.#tiles.get(this.#current)?.focus();
    this.#focusNext = false;
  }

  #tileOf(entry) {
    let tile = this.#tiles.get(entry.id);
    if (!tile) {
      tile = makeTile(`${this.#prefix}${(this.#tilesMade += 1)}`);
      this.#tiles.set(entry.id, tile);
    }
    fillTile(tile, entry);
    setAttribute(tile, "aria-selected", String(this.#selection.has(entry.id)));
    return tile;
  }

  #showCurrent() {
    for (const [id, tile] of this.#tiles) {
      setAttribute(tile, "tabindex", id === this.#current ? "0" : "-1");
    }
  }

  #renderActions() {
    const selected = this.#selection.size;
    this.actions.hidden = selected === 0;
    if (selected === 0) return;
    const hidden = selected - this.#shown.filter(({ id }) => this.#selection.has(id)).length;
    const count = t("gallery.selected.count", { count: selected });
    const aside = hidden > 0 ? ` ${t("gallery.selected.hidden", { count: hidden })}` : "";
    setText(this.selectedWords, count + aside);
    const all = this.#shown.length;
    const name = isActive(this.filter) ? "matching" : "all";
    setText(this.everything, t(`gallery.select.${name}`, { count: all }));
    this.everything.hidden = selected - hidden >= all;
    this.correct.disabled = this.#correctable().length === 0;
  }

  /** Have a sentence read aloud, and shown too unless it stands elsewhere already. */
  #tell(sentence, seenElsewhere = false) {
    this.said.classList.toggle("w-echo", seenElsewhere);
    setText(this.said, sentence);
  }

  // What can be known of it.

  #idOf(target) {
    return target.closest(".w-tile")?.dataset.id ?? null;
  }

  #order() {
    return this.#shown.map((entry) => entry.id);
  }

  #columns() {
    const tiles = [...this.list.children];
    const next = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
    return next < 0 ? Math.max(tiles.length, 1) : next;
  }

  #selectedItems() {
    const chosen = [...this.#entries.values()].filter(({ id }) => this.#selection.has(id));
    return chosen.map((entry) => entry.item);
  }

  #correctable() {
    return this.#selectedItems().filter((item) => item.state === "done" && item.reply);
  }

  #scopes() {
    const matching = arrange([...this.#entries.values()], this.filter, this.#collator);
    return {
      all: this.items(),
      matching: matching.map((entry) => entry.item),
      selected: this.#selectedItems(),
      filtered: isActive(this.filter),
    };
  }
}

/**
 * Put an empty gallery into `root`; it shows itself with the first item.
 *
 * Items belong to the page: they are neither copied nor changed here, and neither are their
 * thumbnails' addresses revoked. Whoever changes an item tells by `update`.
 *
 * @param {object} options
 * @param {Element} options.root
 * @param {(item: object) => void} options.onOpen Somebody wants to see one picture.
 * @param {(items: object[]) => void} options.onCorrect Somebody wants to correct answered ones.
 * @returns {{add: (item: object) => void, update: (item: object) => void,
 *   remove: (id: string) => void, clear: () => void, items: () => object[],
 *   destroy: () => void}} `items` are in order of arrival.
 */
export function createGallery({ root, onOpen, onCorrect }) {
  const gallery = new Gallery({ root, onOpen, onCorrect });
  return {
    add: (item) => gallery.add(item),
    update: (item) => gallery.update(item),
    remove: (id) => gallery.remove(id),
    clear: () => gallery.clear(),
    items: () => gallery.items(),
    destroy: () => gallery.destroy(),
  };
}
