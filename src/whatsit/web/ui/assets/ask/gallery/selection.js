/** Which pictures are selected: single ones, and ranges from an anchor. */

export class Selection {
  /** @type {Set<string>} */
  #ids = new Set();
  /** @type {Set<string>} What was selected before the range that is being drawn. */
  #base = new Set();
  /** @type {string | null} */
  #anchor = null;

  /** How many are selected. */
  get size() {
    return this.#ids.size;
  }

  /**
   * @param {string} id
   * @returns {boolean}
   */
  has(id) {
    return this.#ids.has(id);
  }

  /**
   * Switch one, and let the next range begin at it.
   * @param {string} id
   */
  toggle(id) {
    if (!this.#ids.delete(id)) this.#ids.add(id);
    this.#anchor = id;
    this.#base = new Set(this.#ids);
  }

  /**
   * Select from the anchor to `id`, in place of the range before it.
   * @param {string} id
   * @param {string[]} order All that are shown, in their order.
   * @param {string} start Where the range begins if there is no anchor among them.
   */
  extendTo(id, order, start) {
    if (this.#anchor === null || !order.includes(this.#anchor)) {
      this.#anchor = start;
      this.#base = new Set(this.#ids);
    }
    const ends = [order.indexOf(this.#anchor), order.indexOf(id)].sort((one, other) => one - other);
    this.#ids = new Set([...this.#base, ...order.slice(ends[0], ends[1] + 1)]);
  }

  /**
   * Select these too.
   * @param {string[]} ids
   */
  add(ids) {
    for (const id of ids) this.#ids.add(id);
    this.#base = new Set(this.#ids);
  }

  /**
   * Forget one that is gone.
   * @param {string} id
   */
  remove(id) {
    this.#ids.delete(id);
    this.#base.delete(id);
    if (this.#anchor === id) this.#anchor = null;
  }

  /** Select nothing. */
  clear() {
    this.#ids.clear();
    this.#base.clear();
    this.#anchor = null;
  }
}
