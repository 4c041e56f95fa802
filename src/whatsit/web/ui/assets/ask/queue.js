/** Many pictures, few at a time, at the pace that the server asks for. */

import { Problem } from "./api.js";
import { t } from "./i18n.js";

const AT_ONCE = 4;
const THUMBNAILS_AT_ONCE = 2;
const LONGEST_WAIT_SECONDS = 120;
const MAX_TRIES = 30;

/**
 * Do something with every entry, a few at once.
 *
 * @template T
 * @param {T[]} entries
 * @param {(entry: T) => Promise<void>} work
 * @param {number} [atOnce]
 * @returns {Promise<void>}
 */
export async function forEachBounded(entries, work, atOnce = THUMBNAILS_AT_ONCE) {
  const waiting = entries.values();
  const worker = async () => {
    for (const entry of waiting) await work(entry);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Asks about items one after the other, up to four at once. */
export class Queue {
  #waiting = [];
  #running = 0;
  #pausedUntil = 0;
  #controller = new AbortController();
  #ask;
  #onChange;
  #onProgress;

  /**
   * @param {{ask: (item: Object, signal: AbortSignal) => Promise<Object>,
   *   onChange: (item: Object) => void, onProgress: (progress: Object) => void}} options
   *   `onChange` is told of every new state of an item.
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
   * @param {Object[]} items
   */
  push(items) {
    if (this.done === this.total) this.done = this.total = 0;
    this.total += items.length;
    this.#waiting.push(...items);
    this.#tell();
    this.#start();
  }

  /**
   * Ask no further.
   *
   * @returns {Object[]} The items that have no answer and get none.
   */
  cancel() {
    const left = this.#waiting.splice(0);
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#pausedUntil = 0;
    this.total -= left.length;
    this.#tell();
    return left;
  }

  #start() {
    while (this.#running < AT_ONCE && this.#waiting.length > 0) this.#work();
  }

  async #work() {
    this.#running += 1;
    const { signal } = this.#controller;
    while (this.#waiting.length > 0 && !signal.aborted) {
      const item = this.#waiting.shift();
      await this.#settle(item, signal);
      this.done += 1;
      this.#onChange(item);
      this.#tell();
    }
    this.#running -= 1;
    this.#start(); // what came while the ones before were being cancelled
  }

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

  async #askPatiently(item, signal) {
    for (let tries = 1; ; tries += 1) {
      await this.#pause(signal);
      try {
        return await this.#ask(item, signal);
      } catch (error) {
        const wait = error.retryAfter ?? 1;
        const isBusy = error.status === 503 || error.status === 429;
        if (!isBusy || wait > LONGEST_WAIT_SECONDS || tries === MAX_TRIES) throw error;
        this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + wait * 1000);
      }
    }
  }

  async #pause(signal) {
    for (;;) {
      const left = this.#pausedUntil - Date.now();
      if (signal.aborted) throw new DOMException("Cancelled", "AbortError");
      if (left <= 0) return;
      this.#tell(Math.ceil(left / 1000));
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, 500)));
    }
  }

  #tell(pauseSeconds = 0) {
    this.#onProgress({ done: this.done, total: this.total, pauseSeconds });
  }
}

function factsOf(error) {
  if (error instanceof Problem) {
    return { status: error.status, code: error.code, detail: error.detail };
  }
  if (error.name === "AbortError") {
    return { status: 0, code: "cancelled", detail: t("page.problem_cancelled") };
  }
  reportError(error); // a mistake of ours: into the console, and the other pictures go on
  return { status: 0, code: "internal", detail: t("page.problem_internal") };
}
