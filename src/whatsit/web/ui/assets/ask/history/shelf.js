/** The database of this browser that keeps its answers. */

const STORE = "answers";
const LEAVE_WHEN_FULL = 10;

/** The database's name, and that of the channel between tabs. */
export const NAME = "whatsit-history";
export const MOST_ENTRIES = 300;

/**
 * What each version of the database added. A new version appends a step; none is ever changed.
 *
 * @type {((database: IDBDatabase) => void)[]}
 */
const UPGRADES = [
  (database) => database.createObjectStore(STORE, { keyPath: "sha256" }).createIndex("at", "at"),
];

/**
 * One answer of the past, with all that is needed to show it again.
 *
 * @typedef {object} HistoryEntry
 * @property {string} sha256 Of the picture; each picture stands in the list once.
 * @property {number} at When it was answered last, in milliseconds since 1970.
 * @property {string} name
 * @property {string} sentence As it was given, in English.
 * @property {string} label
 * @property {string | null} wnid
 * @property {import("../api.js").Correction | null} correction
 * @property {import("../api.js").Reply} reply Without its correction.
 * @property {Blob | null} thumbnail See `lib/thumbnail.js`.
 */

/** Opens the database when it is needed, and again after another tab has changed its version. */
export class Shelf {
  /** @type {Promise<IDBDatabase> | null} */
  #opening = null;
  #isMissing = false;

  /** @returns {Promise<boolean>} Whether this browser lets us keep anything. */
  async isOpen() {
    if (this.#isMissing) return false;
    try {
      await this.#database();
    } catch {
      this.#isMissing = true;
    }
    return !this.#isMissing;
  }

  /** @returns {Promise<HistoryEntry[]>} */
  all() {
    return this.#work("readonly", (store) => store.getAll());
  }

  /** @param {string} sha256 */
  async remove(sha256) {
    await this.#work("readwrite", (store) => store.delete(sha256));
  }

  async clear() {
    await this.#work("readwrite", (store) => store.clear());
  }

  /**
   * Write an entry; where there is no room, without its thumbnail, then in place of old ones.
   *
   * @param {HistoryEntry} entry
   * @returns {Promise<boolean>} Whether all of the entry, and everything before it, is there.
   */
  async keep(entry) {
    const bare = { ...entry, thumbnail: null };
    try {
      await this.#put(entry);
      return true;
    } catch {
      // Some private windows take all but blobs, so this is not only for a full storage.
      await this.#put(bare).catch(async (error) => {
        if (!isFull(error)) throw error;
        await this.#work("readwrite", (store) => dropOldest(store, LEAVE_WHEN_FULL));
        await this.#put(bare);
      });
      return false;
    }
  }

  async close() {
    if (this.#opening) (await this.#opening.catch(() => null))?.close();
    this.#opening = null;
  }

  /** @param {HistoryEntry} entry */
  async #put(entry) {
    await this.#work("readwrite", (store) => {
      store.put(entry);
      const counting = store.count();
      counting.onsuccess = () => dropOldest(store, counting.result - MOST_ENTRIES);
    });
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest | void} ask
   * @param {boolean} [isSecondTry]
   * @returns {Promise<any>} The result of the request that `ask` returned.
   */
  async #work(mode, ask, isSecondTry = false) {
    const database = await this.#database();
    /** @type {IDBTransaction} */
    let transaction;
    try {
      transaction = database.transaction(STORE, mode);
    } catch (error) {
      if (isSecondTry) throw error;
      this.#opening = null; // closed since: another tab brought a new version, or data was cleared
      return this.#work(mode, ask, true);
    }
    const request = ask(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error ?? request?.error);
    });
    return request?.result;
  }

  #database() {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open() {
    const database = await openDatabase(UPGRADES.length).catch((error) => {
      if (error?.name !== "VersionError") throw error;
      return openDatabase(undefined); // a newer page was here; its versions only add
    });
    if (!database.objectStoreNames.contains(STORE)) throw new Error("not our database");
    const isOver = () => {
      database.close();
      this.#opening = null;
    };
    database.onversionchange = isOver;
    database.onclose = isOver;
    return database;
  }
}

/**
 * Whether something failed for want of room.
 *
 * @param {any} error
 * @returns {boolean}
 */
export function isFull(error) {
  return error?.name === "QuotaExceededError";
}

/**
 * @param {number | undefined} version
 * @returns {Promise<IDBDatabase>}
 */
function openDatabase(version) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, version);
    request.onupgradeneeded = ({ oldVersion }) => {
      for (const upgrade of UPGRADES.slice(oldVersion)) upgrade(request.result);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @param {IDBObjectStore} store
 * @param {number} count
 */
function dropOldest(store, count) {
  if (count <= 0) return;
  let left = count;
  const walk = store.index("at").openCursor();
  walk.onsuccess = () => {
    const cursor = walk.result;
    if (!cursor || left === 0) return;
    left -= 1;
    cursor.delete();
    cursor.continue();
  };
}
