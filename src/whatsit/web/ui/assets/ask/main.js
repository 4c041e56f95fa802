/** The Ask view: gives every part its place, and carries pictures from one to the next. */

import { createAnswer } from "./answer/answer.js";
import { Api } from "./api.js";
import { openCorrection } from "./correct/dialog.js";
import { Gallery } from "./gallery/gallery.js";
import { Answers } from "./history/answers.js";
import { AnswerList } from "./history/list.js";
import { language, loadLanguage, sentenceOf, t } from "./i18n.js";
import { createIntake } from "./intake/intake.js";
import { newItem } from "./item.js";
import { createLanguageChoice } from "./language.js";
import { h } from "./lib/dom.js";
import { forEachBounded } from "./lib/parallel.js";
import { isDark } from "./lib/theme.js";
import { makeThumbnail } from "./lib/thumbnail.js";
import { Problem, problemSentence } from "./problems.js";
import { createProgress } from "./progress.js";
import { Queue } from "./queue.js";
import { createWelcome } from "./welcome.js";

const THUMBNAILS_AT_ONCE = 2;

/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./api.js").Reply} Reply */
/** @typedef {import("./welcome.js").Example} Example */

/**
 * @typedef {object} Options What the server says of itself.
 * @property {string} pass Stands in for an API key.
 * @property {string[]} styles Addresses of the style sheets.
 * @property {Example[]} examples
 * @property {boolean} keysRequired
 * @property {boolean} urls Whether the server fetches pictures from addresses.
 * @property {Limits} limits
 * @property {string} [language]
 * @property {boolean} [dark]
 */

/**
 * @typedef {object} Limits What the server refuses to exceed.
 * @property {number} uploadBytes Of one picture.
 * @property {number} labelCharacters Of a label in a person's own words.
 */

/**
 * One for as long as the document lives, so that leaving the view and coming back loses nothing.
 *
 * @type {AskView | null}
 */
let view = null;

/**
 * Show the view in `root`.
 *
 * @param {HTMLElement} root
 * @param {Options} options
 * @returns {Promise<() => void>} To be called once `root` has left the document.
 */
export async function mount(root, options) {
  document.documentElement.dataset.wTheme = (options.dark ?? isDark(root)) ? "dark" : "light";
  await Promise.all([loadStyles(options.styles), loadLanguage(options.language)]);
  view ??= new AskView(options);
  const shown = view;
  shown.enter(root, options.pass);
  // Streamlit may draw the same root again; then this is called although nothing has gone.
  return () => {
    setTimeout(() => shown.element.isConnected || shown.leave());
  };
}

class AskView {
  /** @type {Map<string, Item>} Those in the gallery. */
  #items = new Map();
  /** @type {Item | null} The one whose answer is shown. */
  #single = null;
  /** @type {Gallery | null} */
  #gallery = null;
  /** @type {Map<string, number>} How long answers took to compute, by the picture's digest. */
  #computed = new Map();
  #options;
  #api;
  #queue;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#api = new Api({ pass: options.pass });
    this.#queue = new Queue({
      ask: (item, signal) => this.#askFor(item, signal),
      onChange: (item) => this.#changed(item),
      onProgress: (progress) => this.progress.show(progress),
    });
    const { examples, keysRequired, urls, limits } = options;
    this.intake = createIntake({
      onPictures: (found) => this.#take(found),
      onUrl: (url) => this.#takeUrl(url),
      urls,
      maxUploadBytes: limits.uploadBytes,
    });
    this.answer = createAnswer({
      api: this.#api,
      keysRequired,
      maxLabelCharacters: limits.labelCharacters,
      computedMs: (sha256) => this.#computed.get(sha256),
      onBack: () => this.#showGallery(true),
      onCorrected: (item) => this.#corrected(item),
    });
    this.welcome = createWelcome({ examples, onExample: (one) => this.#takeExample(one) });
    for (const { sha256, computedMs } of examples) {
      if (sha256 && computedMs) this.#computed.set(sha256, computedMs);
    }
    this.progress = createProgress({
      onCancel: () => this.#cancel(),
      onDone: (count) => this.#announce(t("page.progress_done", { count })),
    });
    this.announcer = h("p", { class: "w-hidden", role: "status" });
    this.notice = h("div", { role: "alert" });
    this.galleryRoot = h("div", { class: "w-gallery-root", hidden: true });
    const historyRoot = h("div", { class: "w-history-root" });
    this.answers = new Answers();
    new AnswerList({
      root: historyRoot,
      answers: this.answers,
      onOpen: (entry) => this.#openEntry(entry),
    });
    this.element = h(
      "div",
      { class: "w-page", lang: language() },
      this.intake.element,
      this.announcer,
      this.notice,
      this.progress.element,
      this.answer.element,
      this.galleryRoot,
      this.welcome.element,
      historyRoot,
      // What was drawn already speaks the other language; the history is there again afterwards.
      createLanguageChoice({ onChange: () => window.location.reload() }),
    );
    this.#openPermalink();
  }

  /**
   * Come into the document, at the first time or again.
   *
   * @param {HTMLElement} root
   * @param {string} pass
   */
  enter(root, pass) {
    this.#api.pass = pass;
    if (this.element.parentNode !== root) root.append(this.element);
  }

  /** Switch off what is not seen. */
  leave() {
    this.intake.pause();
  }

  /** @param {import("./intake/pictures.js").Found[]} found */
  #take(found) {
    this.#ask(found.map(({ file, folder }) => newItem(file.name, file, folder)));
  }

  /** @param {string} url */
  #takeUrl(url) {
    const name = url.split(/[?#]/)[0].split("/").pop() || url;
    this.#ask([{ ...newItem(name, null), url }]);
  }

  /** @param {Example} example */
  async #takeExample({ name, address }) {
    this.#say("");
    try {
      const response = await fetch(address);
      const file = new File([await response.blob()], `${name}.jpg`, { type: "image/jpeg" });
      this.#take([{ file, folder: "" }]);
    } catch {
      this.#say(t("page.unreachable"));
    }
  }

  /** @param {Item[]} items */
  #ask(items) {
    this.#say("");
    this.#forgetPermalink();
    if (items.length === 1 && this.#items.size === 0) this.#setSingle(items[0]);
    else this.#addToGallery(items);
    const asked = items.filter((item) => this.#isSmallEnough(item));
    this.#queue.push(asked);
    const make = (/** @type {Item} */ item) => this.#makeThumbnail(item);
    forEachBounded(items, make, { atOnce: THUMBNAILS_AT_ONCE });
  }

  /** @param {Item} item */
  #isSmallEnough(item) {
    const { uploadBytes } = this.#options.limits;
    if (item.blob === null || item.blob.size <= uploadBytes) return true;
    const detail = t("page.too_large", { size: Math.floor(uploadBytes / 1e6) });
    item.problem = { status: 413, code: "image_too_large", detail };
    item.state = "refused";
    this.#changed(item);
    return false;
  }

  /**
   * @param {Item} item
   * @param {AbortSignal} signal
   */
  async #askFor({ url, blob }, signal) {
    const asking = url
      ? this.#api.classifyUrl(url, { signal })
      : this.#api.classify(/** @type {Blob} */ (blob), { signal });
    const reply = await asking;
    if (reply.cache === "miss") this.#computed.set(reply.image.sha256, reply.timings_ms.total);
    return reply;
  }

  /** @param {Item} item */
  async #makeThumbnail(item) {
    if (item.blob === null) return;
    item.small = await makeThumbnail(item.blob);
    const isWanted = this.#items.has(item.id) || this.#single === item;
    if (item.small !== null && isWanted) {
      item.thumbnail = URL.createObjectURL(item.small);
      this.#gallery?.update(item);
    }
    this.#remember(item);
  }

  /** @param {Item} item */
  #changed(item) {
    this.#gallery?.update(item);
    if (this.#single === item && item.state !== "asking") {
      this.answer.show(item, this.#items.size > 0);
      if (item.reply && item.state === "done") this.#announce(sentenceOf(item.reply.answer));
    }
    this.#remember(item);
  }

  /**
   * Enter an item into the history once it has both an answer and its small picture.
   *
   * @param {Item} item
   */
  #remember(item) {
    if (item.state !== "done" || item.isRemembered) return;
    if (item.blob !== null && item.small === undefined) return;
    item.isRemembered = true;
    this.answers.add(item, item.small);
  }

  /** @param {Item} item */
  #corrected(item) {
    this.#gallery?.update(item);
    this.answers.update(item);
  }

  /** @param {Item} item */
  #setSingle(item) {
    const before = this.#single;
    this.#single = item;
    if (before !== null && before !== item && !this.#items.has(before.id)) release(before);
    this.galleryRoot.hidden = true;
    this.answer.show(item, this.#items.size > 0);
    this.#settleIn();
  }

  /** @param {Item[]} items */
  #addToGallery(items) {
    this.#gallery ??= new Gallery({
      root: this.galleryRoot,
      onOpen: (item) => this.#setSingle(item),
      onCorrect: (chosen) => this.#correctMany(chosen),
    });
    const before = this.#single !== null && this.#items.size === 0 ? [this.#single] : [];
    for (const item of [...before, ...items]) {
      this.#items.set(item.id, item);
      this.#gallery.add(item);
    }
    if (items.length === 1) this.#setSingle(items[0]);
    else this.#showGallery(false);
  }

  /** @param {boolean} isFocused Whether it gets the focus. */
  #showGallery(isFocused) {
    this.#single = null;
    this.answer.clear();
    this.galleryRoot.hidden = false;
    this.#settleIn();
    if (!isFocused) return;
    this.galleryRoot.tabIndex = -1;
    this.galleryRoot.focus({ preventScroll: true });
  }

  /** @param {Item[]} items */
  async #correctMany(items) {
    const settle = (/** @type {Item[]} */ corrected) => {
      for (const item of corrected) this.#corrected(item);
    };
    const maxLabelCharacters = this.#options.limits.labelCharacters;
    const asked = { api: this.#api, items, anchor: this.galleryRoot, maxLabelCharacters };
    if (await openCorrection({ ...asked, onUndone: settle })) settle(items);
  }

  #settleIn() {
    this.intake.setCompact(true);
    this.welcome.setFirst(false);
    this.welcome.element.hidden = !this.galleryRoot.hidden || this.#options.examples.length === 0;
  }

  #cancel() {
    for (const item of this.#queue.cancel()) {
      item.state = "refused";
      item.problem = { status: 0, code: "cancelled", detail: t("page.problem_cancelled") };
      this.#changed(item);
    }
  }

  /**
   * Show what the history kept; the server may have forgotten it.
   *
   * @param {import("./history/shelf.js").HistoryEntry} entry
   */
  #openEntry({ sha256, name, reply, thumbnail }) {
    const item = newItem(name, null);
    if (thumbnail) item.thumbnail = URL.createObjectURL(thumbnail);
    this.#openReply(item, reply, sha256);
    this.element.scrollIntoView({ block: "start" });
  }

  async #openPermalink() {
    const sha256 = new URLSearchParams(window.location.search).get("answer");
    if (sha256 === null) return;
    try {
      const reply = await this.#api.answer(sha256);
      this.#openReply(newItem(t("page.shared"), null), reply, sha256);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#say(error.status === 404 ? t("page.answer_gone") : problemSentence(error));
    }
  }

  /**
   * @param {Item} item
   * @param {Reply} reply
   * @param {string} sha256
   */
  #openReply(item, reply, sha256) {
    this.#say("");
    Object.assign(item, { reply, sha256, state: "done", isRemembered: true });
    this.#setSingle(item);
    this.#announce(sentenceOf(reply.answer));
  }

  #forgetPermalink() {
    const address = new URL(window.location.href);
    if (!address.searchParams.has("answer")) return;
    address.searchParams.delete("answer");
    window.history.replaceState(window.history.state, "", address);
  }

  /** @param {string} sentence "" for none. */
  #say(sentence) {
    this.notice.replaceChildren(sentence && h("p", { class: "w-notice" }, sentence));
  }

  /** @param {string} sentence */
  #announce(sentence) {
    this.announcer.textContent = sentence;
  }
}

/** @param {Item} item */
function release(item) {
  if (item.thumbnail !== null) URL.revokeObjectURL(item.thumbnail);
  item.thumbnail = null;
}

/** @param {string[]} addresses */
async function loadStyles(addresses) {
  await Promise.all(
    addresses.map((address) => {
      if (document.head.querySelector(`link[href="${address}"]`) !== null) return null;
      const link = h("link", { rel: "stylesheet", href: address });
      const loaded = new Promise((resolve) => {
        link.onload = link.onerror = resolve;
      });
      document.head.append(link);
      return loaded;
    }),
  );
}
