/** The Ask view: gives every part its place, and carries pictures from one to the next. */

import { createAnswer } from "./answer.js";
import { Api } from "./api.js";
import { openCorrection } from "./correct.js";
import { h } from "./dom.js";
import { createGallery } from "./gallery.js";
import { createHistory } from "./history.js";
import { language, loadLanguage, sentenceOf, t } from "./i18n.js";
import { createIntake } from "./intake.js";
import { createLanguageChoice } from "./language.js";
import { makeThumbnail } from "./pictures.js";
import { problemSentence } from "./problems.js";
import { forEachBounded, Queue } from "./queue.js";
import { createWelcome } from "./welcome.js";

/** One for as long as the document lives, so that leaving the view and coming back loses nothing. */
let view = null;

/**
 * Show the view in `root`.
 *
 * @param {HTMLElement} root
 * @param {{pass: string, styles: string[], examples: Object[], keysRequired: boolean,
 *   urls: boolean, maxUploadBytes: number, language?: string, dark?: boolean}} options
 * @returns {Promise<() => void>} To be called once `root` has left the document.
 */
export async function mount(root, options) {
  document.documentElement.dataset.wTheme = (options.dark ?? isDark(root)) ? "dark" : "light";
  await Promise.all([
    loadStyles(options.styles),
    loadLanguage(options.language),
  ]);
  view ??= new AskView(options);
  view.enter(root, options.pass);
  // Streamlit may draw the same root anew; then this is called although nothing has gone.
  return () => setTimeout(() => view.element.isConnected || view.leave());
}

class AskView {
  #items = new Map();
  #single = null;
  #gallery = null;
  #computed = new Map();
  #number = 0;
  #options;
  #api;
  #queue;

  constructor(options) {
    this.#options = options;
    this.#api = new Api({ pass: options.pass });
    this.#queue = new Queue({
      ask: (item, signal) => this.#askFor(item, signal),
      onChange: (item) => this.#changed(item),
      onProgress: (progress) => this.#draw(progress),
    });
    this.#build(options);
    this.#openPermalink();
  }

  /** Come into the document, at the first time or again. */
  enter(root, pass) {
    this.#api.pass = pass;
    if (this.element.parentNode !== root) root.append(this.element);
  }

  /** Let go of what nobody sees. */
  leave() {
    this.intake.pause();
  }

  #build({ examples, keysRequired, urls, maxUploadBytes }) {
    this.intake = createIntake({
      onPictures: (found) => this.#take(found),
      onUrl: (url) => this.#takeUrl(url),
      urls,
      maxUploadBytes,
    });
    this.answer = createAnswer({
      api: this.#api,
      keysRequired,
      computedMs: (sha256) => this.#computed.get(sha256),
      onBack: () => this.#showGallery(true),
      onCorrected: (item) => this.#corrected(item),
    });
    this.welcome = createWelcome({ examples, onExample: (one) => this.#takeExample(one) });
    for (const { sha256, computedMs } of examples) {
      if (computedMs) this.#computed.set(sha256, computedMs);
    }
    this.progress = h("div", { class: "w-progress", hidden: true });
    this.announcer = h("p", { class: "w-hidden", role: "status" });
    this.notice = h("div", { role: "alert" });
    this.galleryRoot = h("div", { class: "w-gallery-root", hidden: true });
    const historyRoot = h("div", { class: "w-history-root" });
    this.history = createHistory({ root: historyRoot, onOpen: (entry) => this.#openEntry(entry) });
    this.element = h("div", { class: "w-page", lang: language() });
    this.element.append(this.intake.element, this.announcer, this.notice, this.progress);
    this.element.append(this.answer.element, this.galleryRoot, this.welcome.element, historyRoot);
    // Whatever was drawn already speaks the other language; the history is there again afterwards.
    this.element.append(createLanguageChoice({ onChange: () => window.location.reload() }));
  }

  #take(found) {
    const items = found.map(({ file, folder }) => this.#newItem(file.name, file, folder));
    this.#ask(items);
  }

  #takeUrl(url) {
    const item = this.#newItem(url.split(/[?#]/)[0].split("/").pop() || url, null, "");
    item.url = url;
    this.#ask([item]);
  }

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

  #newItem(name, blob, folder) {
    this.#number += 1;
    const facts = { thumbnail: null, sha256: null, state: "waiting", reply: null, problem: null };
    return { id: `picture-${this.#number}`, name, blob, folder, at: Date.now(), ...facts };
  }

  #ask(items) {
    this.#say("");
    this.#forgetPermalink();
    if (items.length === 1 && this.#items.size === 0) this.#setSingle(items[0]);
    else this.#addToGallery(items);
    const asked = items.filter((item) => this.#isSmallEnough(item));
    this.#queue.push(asked);
    forEachBounded(items, (item) => this.#makeThumbnail(item));
  }

  #isSmallEnough(item) {
    const { maxUploadBytes } = this.#options;
    if (item.blob === null || item.blob.size <= maxUploadBytes) return true;
    const detail = t("page.too_large", { size: Math.floor(maxUploadBytes / 1e6) });
    item.problem = { status: 413, code: "image_too_large", detail };
    item.state = "refused";
    this.#changed(item);
    return false;
  }

  async #askFor(item, signal) {
    const reply = item.url
      ? await this.#api.classifyUrl(item.url, { signal })
      : await this.#api.classify(item.blob, { signal });
    if (reply.cache === "miss") this.#computed.set(reply.image.sha256, reply.timings_ms.total);
    return reply;
  }

  async #makeThumbnail(item) {
    if (item.blob === null) return;
    const small = await makeThumbnail(item.blob);
    item.small = small;
    const isWanted = this.#items.has(item.id) || this.#single === item;
    if (small !== null && isWanted) {
      item.thumbnail = URL.createObjectURL(small);
      if (this.#items.has(item.id)) this.#gallery.update(item);
    }
    this.#remember(item);
  }

  #changed(item) {
    if (this.#items.has(item.id)) this.#gallery.update(item);
    if (this.#single === item && item.state !== "asking") {
      this.answer.show(item, this.#items.size > 0);
      if (item.state === "done") this.#announce(sentenceOf(item.reply.answer));
    }
    this.#remember(item);
  }

  /** Enter an item into the history once it has both an answer and its small picture. */
  #remember(item) {
    if (item.state !== "done" || item.isRemembered) return;
    if (item.blob !== null && item.small === undefined) return;
    item.isRemembered = true;
    this.history.add(item, item.small ?? null);
  }

  #corrected(item) {
    if (this.#items.has(item.id)) this.#gallery.update(item);
    this.history.update(item);
  }

  #setSingle(item) {
    const before = this.#single;
    this.#single = item;
    if (before !== null && before !== item && !this.#items.has(before.id)) release(before);
    this.galleryRoot.hidden = true;
    this.answer.show(item, this.#items.size > 0);
    this.#settleIn();
  }

  #addToGallery(items) {
    if (this.#gallery === null) {
      this.#gallery = createGallery({
        root: this.galleryRoot,
        onOpen: (item) => this.#setSingle(this.#items.get(item.id) ?? item),
        onCorrect: (chosen) => this.#correctMany(chosen),
      });
    }
    if (this.#single !== null && this.#items.size === 0) this.#join(this.#single);
    for (const item of items) this.#join(item);
    if (items.length === 1) this.#setSingle(items[0]);
    else this.#showGallery(false);
  }

  #join(item) {
    this.#items.set(item.id, item);
    this.#gallery.add(item);
  }

  #showGallery(isFocused) {
    this.#single = null;
    this.answer.clear();
    this.galleryRoot.hidden = false;
    this.#settleIn();
    if (!isFocused) return;
    this.galleryRoot.tabIndex = -1;
    this.galleryRoot.focus({ preventScroll: true });
  }

  async #correctMany(chosen) {
    const items = chosen.map((item) => this.#items.get(item.id) ?? item);
    const tell = (corrected) => corrected.forEach((item) => this.#corrected(item));
    const anchor = this.galleryRoot;
    if (await openCorrection({ api: this.#api, items, anchor, onUndone: tell })) tell(items);
  }

  #settleIn() {
    this.intake.setCompact(true);
    this.welcome.setFirst(false);
    this.welcome.element.hidden = !this.galleryRoot.hidden || this.#options.examples.length === 0;
  }

  #draw({ done, total, pauseSeconds }) {
    const isWorthIt = total > 1 || pauseSeconds > 0;
    this.progress.hidden = !isWorthIt || done >= total;
    if (this.progress.hidden) {
      this.progress.replaceChildren();
      if (total > 1 && done === total) this.#announce(t("page.progress_done", { count: total }));
      return;
    }
    const words = pauseSeconds
      ? t("page.progress_pause", { count: pauseSeconds })
      : t("page.progress", { done, total });
    if (this.progress.childElementCount === 0) this.progress.append(...this.#progressParts());
    const [text, bar] = this.progress.children;
    text.textContent = words;
    bar.max = total;
    bar.value = done;
  }

  #progressParts() {
    const onclick = () => this.#cancel();
    return [
      h("span", { class: "w-progress-text" }),
      h("progress", { class: "w-progress-bar", "aria-label": t("page.progress_label") }),
      h("button", { type: "button", class: "w-button", onclick }, t("page.cancel")),
    ];
  }

  #cancel() {
    for (const item of this.#queue.cancel()) {
      item.state = "refused";
      item.problem = { status: 0, code: "cancelled", detail: t("page.problem_cancelled") };
      this.#changed(item);
    }
  }

  /** Show what the history kept; the server may have forgotten it. */
  #openEntry({ sha256, name, reply, thumbnail }) {
    const item = this.#newItem(name, null, "");
    if (thumbnail) item.thumbnail = URL.createObjectURL(thumbnail);
    this.#openReply(item, reply, sha256);
    this.element.scrollIntoView({ block: "start" });
  }

  async #openPermalink() {
    const sha256 = new URLSearchParams(window.location.search).get("answer");
    if (sha256 === null) return;
    try {
      const reply = await this.#api.answer(sha256);
      this.#openReply(this.#newItem(t("page.shared"), null, ""), reply, sha256);
    } catch (error) {
      if (error.detail === undefined) throw error;
      this.#say(error.status === 404 ? t("page.answer_gone") : problemSentence(error));
    }
  }

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

  #say(sentence) {
    this.notice.replaceChildren(sentence && h("p", { class: "w-notice" }, sentence));
  }

  #announce(sentence) {
    this.announcer.textContent = sentence;
  }
}

function release(item) {
  if (item.thumbnail !== null) URL.revokeObjectURL(item.thumbnail);
  item.thumbnail = null;
}

async function loadStyles(addresses) {
  await Promise.all(
    addresses.map((address) => {
      if (document.head.querySelector(`link[href="${address}"]`) !== null) return null;
      const link = h("link", { rel: "stylesheet", href: address });
      const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
      document.head.append(link);
      return loaded;
    }),
  );
}

/** Whether the page around us is dark; it may differ from what the system asks for. */
function isDark(root) {
  const probe = h("span", { style: { color: "var(--st-background-color)" } });
  root.append(probe);
  const channels = getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255];
  probe.remove();
  const [red, green, blue] = channels.map(Number);
  return 0.3 * red + 0.6 * green + 0.1 * blue < 110;
}
