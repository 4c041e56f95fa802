/** What this browser was answered before: kept in IndexedDB, never sent anywhere. */

import { digestOf } from "../item.js";
import { makeThumbnail } from "../lib/thumbnail.js";
import { isFull, MOST_ENTRIES, NAME, Shelf } from "./shelf.js";

const OTHER_TABS_MS = 150;

/** @typedef {import("./shelf.js").HistoryEntry} HistoryEntry */
/** @typedef {import("../item.js").Item} Item */

/**
 * The answers of this browser, in step with the database and with other tabs.
 *
 * It dispatches `change` after each change. What cannot be kept is there until the page closes.
 */
export class Answers extends EventTarget {
  /** @type {Map<string, HistoryEntry>} By the digest of the picture. */
  entries = new Map();
  /** @type {"full" | "unavailable" | null} Why the newest answers are not kept. */
  trouble = null;
  #shelf = new Shelf();
  /** @type {Map<string, HistoryEntry>} Those that are not in the database. */
  #loose = new Map();
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #forgotten = 0;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  #timer = 0;
  #leaving = new AbortController();

  constructor() {
    super();
    try {
      this.#channel = new BroadcastChannel(NAME);
      this.#channel.onmessage = ({ data }) => this.#heard(data);
    } catch {
      // Without it, the tabs meet when they come to the front.
    }
    const { signal } = this.#leaving;
    const reload = () => document.hidden || this.#inTurn(() => this.#reload());
    document.addEventListener("visibilitychange", reload, { signal });
    /** Resolves once what the database has is in `entries`. */
    this.ready = this.#inTurn(() => this.#reload());
  }

  /**
   * Keep an answer; an item without one is left out.
   *
   * @param {Item} item
   * @param {Blob | null} [picture] Kept in small.
   */
  async add(item, picture = null) {
    const { reply, at } = item;
    const sha256 = digestOf(item);
    if (!sha256 || !reply?.answer) return;
    const forgotten = this.#forgotten;
    const thumbnail = picture && (await makeThumbnail(picture));
    const entry = { ...wordsOf(item, reply), sha256, thumbnail, at: at ?? Date.now() };
    await this.#inTurn(async () => {
      if (forgotten === this.#forgotten) await this.#keep(entry);
    });
  }

  /**
   * Keep the correction of an item, if its answer is kept.
   *
   * @param {Item} item
   */
  async update(item) {
    await this.#inTurn(async () => {
      const entry = this.entries.get(digestOf(item) ?? "");
      if (entry && item.reply?.answer) {
        await this.#keep({ ...entry, ...wordsOf(item, item.reply) });
      }
    });
  }

  /** @param {string} sha256 */
  async remove(sha256) {
    await this.#inTurn(async () => {
      if (await this.#shelf.isOpen()) await this.#shelf.remove(sha256);
      this.#loose.delete(sha256);
      this.entries.delete(sha256);
      this.#changed("changed");
    });
  }

  async forgetAll() {
    this.#forgotten += 1; // what is being made small now is forgotten, too
    await this.#inTurn(async () => {
      if (await this.#shelf.isOpen()) await this.#shelf.clear();
      this.#loose.clear();
      this.entries.clear();
      this.#changed("forgotten");
    });
  }

  /** Listen no longer, and close the database. */
  destroy() {
    this.#leaving.abort();
    clearTimeout(this.#timer);
    this.#channel?.close();
    this.#inTurn(() => this.#shelf.close());
  }

  /** @param {HistoryEntry} entry */
  async #keep(entry) {
    try {
      if (!(await this.#shelf.isOpen())) throw new Error("no database");
      const isAllThere = await this.#shelf.keep(entry);
      this.#loose.delete(entry.sha256);
      this.trouble = null;
      if (!isAllThere) await this.#reload();
    } catch (error) {
      this.#loose.set(entry.sha256, entry);
      this.trouble = isFull(error) ? "full" : "unavailable";
    }
    this.entries.set(entry.sha256, entry);
    for (const { sha256 } of newestFirst(this.entries).slice(MOST_ENTRIES)) {
      this.entries.delete(sha256);
      this.#loose.delete(sha256);
    }
    this.#changed("changed");
  }

  async #reload() {
    /** @type {HistoryEntry[]} */
    let kept = [];
    try {
      if (await this.#shelf.isOpen()) kept = await this.#shelf.all();
      else this.trouble = "unavailable";
    } catch {
      this.trouble = "unavailable";
    }
    const all = new Map(kept.map((entry) => [entry.sha256, entry]));
    for (const [sha256, entry] of this.#loose) all.set(sha256, entry);
    const newest = newestFirst(all).slice(0, MOST_ENTRIES);
    this.entries = new Map(newest.map((entry) => [entry.sha256, entry]));
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} news From another tab. */
  #heard(news) {
    if (news === "forgotten") {
      this.#forgotten += 1;
      this.#loose.clear();
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#inTurn(() => this.#reload()), OTHER_TABS_MS);
  }

  /** @param {"changed" | "forgotten"} news For other tabs. */
  #changed(news) {
    this.dispatchEvent(new Event("change"));
    if (!this.#leaving.signal.aborted) this.#channel?.postMessage(news);
  }

  /**
   * One after the other, so that no reload overtakes a write.
   *
   * @param {() => Promise<void>} work
   */
  #inTurn(work) {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}

/**
 * @param {Map<string, HistoryEntry>} entries
 * @returns {HistoryEntry[]}
 */
export function newestFirst(entries) {
  return [...entries.values()].sort((one, other) => other.at - one.at);
}

/**
 * The part of an entry that an answer and its correction decide.
 *
 * @param {Item} item
 * @param {import("../api.js").Reply} reply Its own.
 */
function wordsOf({ name }, reply) {
  const { correction = null, ...rest } = reply;
  const { text, label, wnid } = reply.answer;
  return { name: name ?? "", sentence: text, label, wnid, correction, reply: rest };
}
