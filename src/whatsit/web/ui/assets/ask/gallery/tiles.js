/** The grid of one page of tiles, one of which Tab reaches. */

import { t } from "../i18n.js";
import { focused, h, setAttribute } from "../lib/dom.js";
import { reconcile } from "../lib/list.js";
import { fillTile, makeTile } from "./tile.js";

/** @typedef {import("./entry.js").Entry} Entry */

let grids = 0;

export class Tiles {
  /** @type {Map<string, HTMLElement>} By the ids of their entries. */
  #tiles = new Map();
  /** @type {string | null} */
  #current = null;
  #prefix = `w-tile-${++grids}-`;
  #made = 0;

  constructor() {
    this.element = h("div", {
      class: "w-tiles",
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-label": t("gallery.list"),
      "aria-description": t("gallery.list.keys"),
    });
  }

  /** The id of the entry whose tile Tab reaches. */
  get current() {
    return this.#current;
  }

  set current(id) {
    this.#current = id;
    for (const [one, tile] of this.#tiles) {
      setAttribute(tile, "tabindex", one === id ? "0" : "-1");
    }
  }

  /** How many stand in a row. */
  get columns() {
    const tiles = /** @type {HTMLElement[]} */ ([...this.element.children]);
    const next = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
    return next < 0 ? Math.max(tiles.length, 1) : next;
  }

  /**
   * The id of the entry whose tile something is in.
   *
   * @param {EventTarget | null} target
   * @returns {string | null}
   */
  idOf(target) {
    if (!(target instanceof Element)) return null;
    return /** @type {HTMLElement | null} */ (target.closest(".w-tile"))?.dataset.id ?? null;
  }

  /**
   * Show these entries. A focus whose tile goes moves to the one in its place.
   *
   * @param {Entry[]} page
   * @param {object} options
   * @param {(id: string) => boolean} options.isSelected
   * @param {boolean} options.isSelecting Whether every tile shows its mark.
   * @param {boolean} options.isFocused Whether to move the focus to the current tile.
   */
  show(page, { isSelected, isSelecting, isFocused }) {
    const holder = focused(this.element);
    const hadFocus = this.element.contains(holder);
    const before = holder ? [...this.element.children].indexOf(holder) : -1;
    const ids = new Set(page.map((entry) => entry.id));
    for (const id of this.#tiles.keys()) if (!ids.has(id)) this.#tiles.delete(id);
    const tiles = page.map((entry) => this.#tileOf(entry, isSelected(entry.id)));
    reconcile(this.element, tiles);
    this.element.hidden = page.length === 0;
    this.element.classList.toggle("w-selecting", isSelecting);
    const isThere = this.#current !== null && ids.has(this.#current);
    const inItsPlace = page[Math.min(Math.max(before, 0), page.length - 1)];
    this.current = isThere ? this.#current : (inItsPlace?.id ?? null);
    const isLost = hadFocus && !this.element.contains(focused(this.element));
    if (isFocused || isLost) this.#tiles.get(this.#current ?? "")?.focus();
  }

  /** Let all tiles go. */
  clear() {
    this.#tiles.clear();
  }

  /**
   * @param {Entry} entry
   * @param {boolean} isSelected
   */
  #tileOf(entry, isSelected) {
    let tile = this.#tiles.get(entry.id);
    if (!tile) {
      tile = makeTile(`${this.#prefix}${++this.#made}`);
      this.#tiles.set(entry.id, tile);
    }
    fillTile(tile, entry);
    setAttribute(tile, "aria-selected", String(isSelected));
    return tile;
  }
}
