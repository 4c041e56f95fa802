/** What the gallery's tests drive: a page with nothing but a gallery. */

import { Gallery } from "/ask/gallery/gallery.js";
import { loadLanguage } from "/ask/i18n.js";

const EXAMPLES = ["bee", "cat", "citrus", "coffee"];

const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
document.documentElement.dataset.wTheme = scheme;

/** Every listener on `window` since the page began, with the signal that ends it. */
window.listeners = [];
const listen = window.addEventListener.bind(window);
window.addEventListener = (kind, heard, options) => {
  window.listeners.push({ kind, signal: options?.signal ?? null });
  listen(kind, heard, options);
};

await loadLanguage("en");
const pictures = await Promise.all(
  EXAMPLES.map(async (name) => (await fetch(`/examples/${name}.jpg`)).blob()),
);

window.opened = [];
window.corrected = [];
window.gallery = new Gallery({
  root: document.querySelector("#gallery"),
  onOpen: (item) => window.opened.push(item.name),
  onCorrect: (items) => window.corrected.push(items.map((item) => item.name)),
});
window.items = new Map();

/** Add items whose thumbnail, if it is a name of an example, becomes an address of its own. */
window.put = (items) => {
  for (const item of items) {
    const place = EXAMPLES.indexOf(item.thumbnail);
    if (place >= 0) item.thumbnail = URL.createObjectURL(pictures[place]);
    window.items.set(item.id, item);
    window.gallery.add(item);
  }
};

/** Change items as the page does: in place, and then told. */
window.change = (changes) => {
  for (const change of changes) {
    const item = Object.assign(window.items.get(change.id), change);
    window.gallery.update(item);
  }
};

/** Resolves once what was scheduled has been drawn. */
window.drawn = () =>
  new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
document.documentElement.dataset.ready = "";
