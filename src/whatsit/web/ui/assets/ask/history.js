/** What this browser was answered before: kept in IndexedDB, shown as a list, never sent anywhere. */
import { h } from "./dom.js";
import { language, nameOf, sentenceOf, t } from "./i18n.js";

const NAME = "whatsit-history";
const STORE = "answers";
const MOST_ENTRIES = 300;
const SHOWN_AT_ONCE = 30;
const LEAVE_WHEN_FULL = 10;
const THUMBNAIL_PX = 320;
const THUMBNAIL_BYTES = 100_000;
const OTHER_TABS_MS = 150;
const DAY_MS = 86_400_000;

/** What each version of the database added. A new version appends a step; none is ever changed. */
const UPGRADES = [
  (database) => database.createObjectStore(STORE, { keyPath: "sha256" }).createIndex("at", "at"),
];

let listsSoFar = 0;

/**
 * One answer of the past, with all that is needed to show it again.
 *
 * @typedef {object} HistoryEntry
 * @property {string} sha256 Of the picture; each picture stands in the list once.
 * @property {number} at When it was answered last, in milliseconds since 1970.
 * @property {string} name
 * @property {string} sentence As it was given, in English.
 * @property {string} label
 * @property {string|null} wnid
 * @property {object|null} correction
 * @property {object} reply The document of `/api/v1/classify`.
 * @property {Blob|null} thumbnail At most 320 pixels wide and high.
 */

/**
 * Show the answers that this browser keeps, and keep further ones.
 *
 * @param {object} options
 * @param {Element} options.root Gets the list.
 * @param {(entry: HistoryEntry) => void} options.onOpen Called also for what the server forgot.
 * @returns {{add: (item: object, thumbnail?: Blob|null) => Promise<void>,
 *   update: (item: object) => Promise<void>, remove: (sha256: string) => Promise<void>,
 *   forgetAll: () => Promise<void>, count: () => number, ready: Promise<void>,
 *   destroy: () => void}} `count` is 0 until `ready`; what fails to be kept is shown until the
 *   page closes.
 */
export function createHistory({ root, onOpen }) {
  const answers = new Answers();
  const list = new AnswerList({ root, onOpen, answers });
  return {
    add: (item, thumbnail = null) => answers.add(item, thumbnail),
    update: (item) => answers.update(item),
    remove: (sha256) => answers.remove(sha256),
    forgetAll: () => answers.forgetAll(),
    count: () => answers.entries.size,
    ready: answers.ready,
    destroy: () => {
      answers.destroy();
      list.destroy();
    },
  };
}

/** The entries of this browser, in step with the database and with other tabs. */
class Answers extends EventTarget {
  entries = new Map();
  trouble = null;
  #shelf = new Shelf(); #loose = new Map(); #queue = Promise.resolve(); #forgotten = 0;
  #channel = null; #timer = 0; #ignore = new AbortController();

  constructor() {
    super();
    try {
      this.#channel = new BroadcastChannel(NAME);
      this.#channel.onmessage = ({ data }) => this.#heard(data);
    } catch {
      // Without it, the tabs meet when they come to the front.
    }
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#inTurn(() => this.#reload());
    }, { signal: this.#ignore.signal });
    this.ready = this.#inTurn(() => this.#reload());
  }

  async add(item, thumbnail) {
    const { reply } = item;
    const sha256 = item.sha256 ?? reply?.image?.sha256;
    if (!sha256 || !reply?.answer) return;
    const forgotten = this.#forgotten;
    const small = await shrink(thumbnail ?? item.blob);
    const entry = { ...wordsOf(item), sha256, thumbnail: small, at: item.at ?? Date.now() };
    await this.#inTurn(async () => {
      if (forgotten === this.#forgotten) await this.#keep(entry);
    });
  }

  update(item) {
    return this.#inTurn(async () => {
      const entry = this.entries.get(item.sha256 ?? item.reply?.image?.sha256);
      if (entry && item.reply?.answer) await this.#keep({ ...entry, ...wordsOf(item) });
    });
  }

  remove(sha256) {
    return this.#inTurn(async () => {
      if (await this.#shelf.isOpen()) await this.#shelf.remove(sha256);
      this.#loose.delete(sha256);
      this.entries.delete(sha256);
      this.#changed();
      this.#tell("changed");
    });
  }

  forgetAll() {
    this.#forgotten += 1; // what is being made small now is forgotten, too
    return this.#inTurn(async () => {
      if (await this.#shelf.isOpen()) await this.#shelf.clear();
      this.#loose.clear();
      this.entries.clear();
      this.#changed();
      this.#tell("forgotten");
    });
  }

  destroy() {
    this.#ignore.abort();
    clearTimeout(this.#timer);
    this.#channel?.close();
    this.#inTurn(() => this.#shelf.close());
  }

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
    this.#changed();
    this.#tell("changed");
  }

  async #reload() {
    let kept = [];
    try {
      if (await this.#shelf.isOpen()) kept = await this.#shelf.all();
      else this.trouble = "unavailable";
    } catch {
      this.trouble = "unavailable";
    }
    const all = new Map(kept.map((entry) => [entry.sha256, entry]));
    for (const [sha256, entry] of this.#loose) all.set(sha256, entry);
    this.entries = new Map(newestFirst(all).slice(0, MOST_ENTRIES).map((one) => [one.sha256, one]));
    this.#changed();
  }

  #heard(kind) {
    if (kind === "forgotten") {
      this.#forgotten += 1;
      this.#loose.clear();
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#inTurn(() => this.#reload()), OTHER_TABS_MS);
  }

  #tell(kind) {
    if (!this.#ignore.signal.aborted) this.#channel?.postMessage(kind);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** One after the other, so that no reload overtakes a write. */
  #inTurn(work) {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}

/** The database, opened when it is needed and again after another tab has changed its version. */
class Shelf {
  #opening = null; #isMissing = false;

  async isOpen() {
    if (this.#isMissing) return false;
    try {
      await this.#database();
    } catch {
      this.#isMissing = true;
    }
    return !this.#isMissing;
  }

  all() {
    return this.#work("readonly", (store) => store.getAll());
  }

  remove(sha256) {
    return this.#work("readwrite", (store) => store.delete(sha256));
  }

  clear() {
    return this.#work("readwrite", (store) => store.clear());
  }

  /**
   * Write an entry; where there is no room, without its thumbnail, then in place of old ones.
   *
   * Resolves to whether what is there is what was asked for.
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

  #put(entry) {
    return this.#work("readwrite", (store) => {
      store.put(entry);
      const counting = store.count();
      counting.onsuccess = () => dropOldest(store, counting.result - MOST_ENTRIES);
    });
  }

  async #work(mode, ask, isSecondTry = false) {
    const database = await this.#database();
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
    this.#opening ??= openDatabase(UPGRADES.length)
      .catch((error) => {
        if (error?.name !== "VersionError") throw error;
        return openDatabase(undefined); // a newer page was here; its versions only add
      })
      .then((database) => {
        if (!database.objectStoreNames.contains(STORE)) throw new Error("not our database");
        const isOver = () => {
          database.close();
          this.#opening = null;
        };
        database.onversionchange = isOver;
        database.onclose = isOver;
        return database;
      });
    return this.#opening;
  }
}

function openDatabase(version) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, version);
    request.onupgradeneeded = ({ oldVersion }) => {
      for (const upgrade of UPGRADES.slice(oldVersion)) upgrade(request.result, request.transaction);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

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

/** The list that people see: by day, newest first, with what each entry can do. */
class AnswerList {
  #answers; #onOpen; #shown = SHOWN_AT_ONCE; #rows = new Map(); #drawing = 0; #timer; #watch;
  #ignore = new AbortController();

  constructor({ root, onOpen, answers }) {
    [this.#answers, this.#onOpen] = [answers, onOpen];
    const id = `w-history-${(listsSoFar += 1)}`;
    this.title = h("h2", { id, class: "w-history-title", tabindex: "-1" }, t("history.title"));
    this.forget = button("w-history-button", t("history.forget_all"), () => this.#askToForget());
    this.sure = h("div", { class: "w-history-sure", role: "group" });
    this.trouble = h("p", { class: "w-history-trouble", role: "status" });
    this.empty = h("p", { class: "w-history-empty" }, t("history.empty"));
    this.days = h("div", { class: "w-history-days" });
    this.more = button("w-history-button w-history-more", "", () => this.#showMore());
    this.said = h("p", { class: "w-history-said", role: "status" });
    this.element = h("section", { class: "w-history", "aria-labelledby": id },
      h("header", { class: "w-history-head" }, this.title, this.forget),
      h("p", { class: "w-history-private" }, t("history.private")),
      this.sure, this.trouble, this.empty, this.days, this.more, this.said);
    for (const part of [this.forget, this.sure, this.empty, this.more]) part.hidden = true;
    root.append(this.element);
    this.#listen();
  }

  destroy() {
    this.#ignore.abort();
    this.#watch.disconnect();
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#drawing);
    this.element.remove();
  }

  #listen() {
    const { signal } = this.#ignore;
    this.#watch = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) this.#load(target);
    }, { rootMargin: "300px" });
    this.#answers.addEventListener("change", () => {
      this.#drawing ||= requestAnimationFrame(() => this.#draw());
    }, { signal });
    this.#timer = setInterval(() => this.#tellTimes(), 30_000);
    this.sure.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#closeSure();
    });
  }

  #draw() {
    this.#drawing = 0;
    const all = newestFirst(this.#answers.entries);
    const days = new Map();
    for (const entry of all.slice(0, this.#shown)) {
      const day = new Date(entry.at).toDateString();
      days.set(day, [...(days.get(day) ?? []), entry]);
    }
    arrange(this.days, [...days].map(([day, entries]) => this.#drawDay(day, entries)));
    for (const [sha256, row] of this.#rows) {
      if (!row.element.isConnected) this.#rows.delete(sha256);
    }
    const left = all.length - this.#shown;
    this.more.hidden = left <= 0;
    this.more.textContent = t("history.more", { count: Math.max(left, 0) });
    this.empty.hidden = all.length > 0;
    this.forget.hidden = all.length === 0 || !this.sure.hidden;
    if (all.length === 0 && !this.sure.hidden) this.#closeSure();
    if (!this.sure.hidden) this.question.textContent = t("history.forget_sure", { count: all.length });
    const { trouble } = this.#answers;
    this.trouble.textContent = trouble ? t(`history.${trouble}`) : "";
  }

  #drawDay(day, entries) {
    let section = [...this.days.children].find((one) => one.dataset.day === day);
    if (!section) {
      section = h("section", { class: "w-history-day" }, h("h3", {}), h("ul", {}));
      section.dataset.day = day;
    }
    section.firstChild.textContent = dayInWords(entries[0].at);
    arrange(section.lastChild, entries.map((entry) => this.#drawRow(entry)));
    return section;
  }

  #drawRow(entry) {
    const state = JSON.stringify([entry.at, entry.sentence, entry.correction]);
    const row = this.#rows.get(entry.sha256);
    if (row?.state === state) return row.element;
    const element = this.#row(entry);
    const hadFocus = row?.element.contains(row.element.getRootNode().activeElement);
    this.#rows.set(entry.sha256, { state, element });
    if (hadFocus) queueMicrotask(() => element.querySelector("button").focus());
    return element;
  }

  #row(entry) {
    const sentence = sentenceOf(entry.reply.answer);
    const image = h("span", { class: "w-history-picture" });
    const time = h("time", { datetime: new Date(entry.at).toISOString() }, timeInWords(entry.at));
    const words = h("span", { class: "w-history-words" },
      h("span", { class: "w-history-sentence" }, sentence), h("span", { class: "w-history-time" }, time));
    if (entry.correction) {
      words.lastChild.before(h("span", { class: "w-history-corrected" }, correctionInWords(entry)));
    }
    const open = button("w-history-open", "", () => this.#open(entry.sha256));
    open.append(image, words);
    const remove = button("w-history-remove", "", () => this.#remove(entry.sha256));
    remove.setAttribute("aria-label", t("history.remove", { sentence }));
    const element = h("li", { class: "w-history-entry" }, open, remove);
    element.dataset.sha256 = entry.sha256;
    if (entry.thumbnail) this.#watch.observe(image);
    return element;
  }

  /** The picture of a row that comes into view; its address lives only until it is drawn. */
  #load(place) {
    this.#watch.unobserve(place);
    const entry = this.#answers.entries.get(place.closest("li")?.dataset.sha256);
    if (!entry?.thumbnail) return;
    const image = h("img", { alt: "" });
    const address = URL.createObjectURL(entry.thumbnail);
    const isOver = () => URL.revokeObjectURL(address);
    image.addEventListener("load", isOver);
    image.addEventListener("error", () => {
      isOver();
      image.remove();
    });
    image.src = address;
    place.replaceChildren(image);
  }

  #open(sha256) {
    const entry = this.#answers.entries.get(sha256);
    if (!entry) return;
    const { correction, reply } = entry;
    this.#onOpen({ ...entry, reply: correction ? { ...reply, correction } : { ...reply } });
  }

  async #remove(sha256) {
    const rows = [...this.days.querySelectorAll("li:not([hidden])")];
    const at = rows.findIndex((row) => row.dataset.sha256 === sha256);
    const next = rows[at + 1] ?? rows[at - 1];
    (next?.querySelector(".w-history-remove") ?? this.title).focus();
    rows[at].hidden = true; // at once, so that the next removal does not go by it
    const isRemoved = await this.#tryTo(() => this.#answers.remove(sha256), "history.removed");
    if (!isRemoved) rows[at].hidden = false;
  }

  #showMore() {
    const before = this.days.querySelectorAll("li").length;
    this.#shown += SHOWN_AT_ONCE * 2;
    this.#draw();
    this.days.querySelectorAll("li")[before]?.querySelector("button").focus();
  }

  #askToForget() {
    this.question = h("p", {}, t("history.forget_sure", { count: this.#answers.entries.size }));
    this.question.id = `${this.title.id}-sure`;
    this.sure.setAttribute("aria-labelledby", this.question.id);
    const no = button("w-history-button", t("history.forget_no"), () => this.#closeSure());
    const yes = button("w-history-button w-history-yes", t("history.forget_yes"), () => this.#forget());
    this.sure.replaceChildren(this.question, yes, no);
    this.sure.hidden = false;
    this.forget.hidden = true;
    no.focus();
  }

  async #forget() {
    this.#closeSure();
    this.title.focus();
    await this.#tryTo(() => this.#answers.forgetAll(), "history.forgotten");
  }

  async #tryTo(work, done) {
    try {
      await work();
      this.#say(t(done));
      return true;
    } catch {
      this.#say(t("history.forget_failed"));
      return false;
    }
  }

  #closeSure() {
    const hadFocus = this.sure.contains(this.sure.getRootNode().activeElement);
    this.sure.hidden = true;
    this.forget.hidden = this.#answers.entries.size === 0;
    if (hadFocus) (this.forget.hidden ? this.title : this.forget).focus();
  }

  #say(text) {
    this.said.textContent = "";
    setTimeout(() => { this.said.textContent = text; }, 50); // the same word twice is read twice
  }

  #tellTimes() {
    for (const [sha256, { element }] of this.#rows) {
      const entry = this.#answers.entries.get(sha256);
      if (entry) element.querySelector("time").textContent = timeInWords(entry.at);
    }
    for (const section of this.days.children) {
      section.firstChild.textContent = dayInWords(new Date(section.dataset.day).getTime());
    }
  }
}

/** The part of an entry that an answer and its correction decide. */
function wordsOf({ name, reply }) {
  const { correction = null, ...rest } = reply;
  const { text, label, wnid } = reply.answer;
  return { name: name ?? "", sentence: text, label, wnid, correction, reply: rest };
}

/** The picture with at most 320 pixels a side; null where the browser cannot draw it. */
async function shrink(blob) {
  if (!blob) return null;
  try {
    const bitmap = await createImageBitmap(blob);
    const ratio = Math.min(1, THUMBNAIL_PX / Math.max(bitmap.width, bitmap.height));
    if (ratio === 1 && blob.size <= THUMBNAIL_BYTES) {
      bitmap.close();
      return blob;
    }
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * ratio));
    canvas.height = Math.max(1, Math.round(bitmap.height * ratio));
    const brush = canvas.getContext("2d");
    brush.fillStyle = "white"; // JPEG makes what is transparent black
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingQuality = "high";
    brush.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.82); });
  } catch {
    return null;
  }
}

function newestFirst(entries) {
  return [...entries.values()].sort((one, other) => other.at - one.at);
}

/** Make these the children, in this order, and move only what stands in a wrong place. */
function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, position) => {
    const there = parent.children[position];
    if (there !== child) parent.insertBefore(child, there ?? null);
  });
}

function correctionInWords({ correction: { verdict, label, wnid } }) {
  return t(`history.corrected_${verdict}`, { label: label ? nameOf({ wnid, label }) : "" });
}

function daysAgo(at) {
  const midnight = (when) => new Date(when).setHours(0, 0, 0, 0);
  return Math.max(0, Math.round((midnight(Date.now()) - midnight(at)) / DAY_MS));
}

function dayInWords(at) {
  const days = daysAgo(at);
  if (days < 2) {
    const day = new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(-days, "day");
    return day.charAt(0).toLocaleUpperCase(language()) + day.slice(1);
  }
  if (days < 7) return new Intl.DateTimeFormat(language(), { weekday: "long" }).format(at);
  const isThisYear = new Date(at).getFullYear() === new Date().getFullYear();
  const form = { day: "numeric", month: "long", ...(isThisYear ? {} : { year: "numeric" }) };
  return new Intl.DateTimeFormat(language(), form).format(at);
}

function timeInWords(at) {
  if (daysAgo(at) > 0) {
    return new Intl.DateTimeFormat(language(), { timeStyle: "short" }).format(at);
  }
  const minutes = Math.max(0, Math.floor((Date.now() - at) / 60_000));
  const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  if (minutes === 0) return words.format(0, "second");
  return minutes < 60 ? words.format(-minutes, "minute") : words.format(-Math.floor(minutes / 60), "hour");
}

function isFull(error) {
  return error?.name === "QuotaExceededError";
}

function button(className, text, onClick) {
  const element = h("button", { class: className, type: "button" }, text);
  element.addEventListener("click", onClick);
  return element;
}
