/** Many pictures, few at a time, at the pace that the server asks for. */

import { t } from "./i18n.js";
import { Problem } from "./problems.js";

const AT_ONCE = 4;
const LONGEST_WAIT_SECONDS = 120;
const MAX_TRIES = 30;
const LOOK_EVERY_MS = 500;

/** @typedef {import("./item.js").Item} Item */

/**
 * @typedef {object} Progress
 * @property {number} done
 * @property {number} total
 * @property {number} pauseSeconds For how long the server asked us to wait; 0 while it did not.
 */

/** Asks about items one after the other, up to four at once. */
export class Queue {
  /** @type {Item[]} */
  #waiting = [];
  #running = 0;
  #pausedUntil = 0;
  #controller = new AbortController();
  #ask;
  #onChange;
  #onProgress;

  /**
   * @param {object} options
   * @param {(item: Item, signal: AbortSignal) => Promise<import("./api.js").Reply>} options.ask
   * @param {(item: Item) => void} options.onChange Called after every new state of an item.
   * @param {(progress: Progress) => void} options.onProgress
   */
  constructor({ ask, onChange, onProgress }) {
    this.#ask = ask;
    this.#onChange = onChange;
    this.#onProgress = onProgress;
    this.done = 0;
    this.total = 0;
  }

  /**
   * Ask about these as well.
   *
   * @param {Item[]} items
   */
  push(items) {
    if (this.done === this.total) this.done = this.total = 0;
    this.total += items.length;
    this.#waiting.push(...items);
    this.#report();
    this.#start();
  }

  /**
   * Ask no further.
   *
   * @returns {Item[]} The items that have no answer and get none.
   */
  cancel() {
    const left = this.#waiting.splice(0);
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#pausedUntil = 0;
    this.total -= left.length;
    this.#report();
    return left;
  }

  #start() {
    while (this.#running < AT_ONCE && this.#waiting.length > 0) this.#work();
  }

  async #work() {
    this.#running += 1;
    const { signal } = this.#controller;
    while (!signal.aborted) {
      const item = this.#waiting.shift();
      if (item === undefined) break;
      await this.#settle(item, signal);
      this.done += 1;
      this.#onChange(item);
      this.#report();
    }
    this.#running -= 1;
    this.#start(); // what came while the ones before were being cancelled
  }

  /**
   * @param {Item} item
   * @param {AbortSignal} signal
   */
  async #settle(item, signal) {
    item.state = "asking";
    this.#onChange(item);
    try {
      item.reply = await this.#askPatiently(item, signal);
      item.sha256 = item.reply.image.sha256;
      item.state = "done";
    } catch (error) {
      item.state = "refused";
      item.problem = factsOf(error);
    }
    item.at = Date.now();
  }

  /**
   * @param {Item} item
   * @param {AbortSignal} signal
   */
  async #askPatiently(item, signal) {
    for (let tries = 1; ; tries += 1) {
      await this.#pause(signal);
      try {
        return await this.#ask(item, signal);
      } catch (error) {
        const wait = tries < MAX_TRIES ? waitOf(error) : null;
        if (wait === null) throw error;
        this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + wait * 1000);
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #pause(signal) {
    for (;;) {
      const left = this.#pausedUntil - Date.now();
      if (signal.aborted) throw new DOMException("Cancelled", "AbortError");
      if (left <= 0) return;
      this.#report(Math.ceil(left / 1000));
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, LOOK_EVERY_MS)));
    }
  }

  /** @param {number} [pauseSeconds] */
  #report(pauseSeconds = 0) {
    this.#onProgress({ done: this.done, total: this.total, pauseSeconds });
  }
}

/**
 * @param {unknown} error
 * @returns {number | null} In how many seconds to ask again; null where that would not help.
 */
function waitOf(error) {
  if (!(error instanceof Problem) || (error.status !== 503 && error.status !== 429)) return null;
  const wait = error.retryAfter ?? 1;
  return wait <= LONGEST_WAIT_SECONDS ? wait : null;
}

/**
 * @param {unknown} error
 * @returns {import("./item.js").ProblemFacts}
 */
function factsOf(error) {
  if (error instanceof Problem) {
    return { status: error.status, code: error.code, detail: error.detail };
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    return { status: 0, code: "cancelled", detail: t("page.problem_cancelled") };
  }
  reportError(error); // a mistake of ours: into the console, and the other pictures go on
  return { status: 0, code: "internal", detail: t("page.problem_internal") };
}
