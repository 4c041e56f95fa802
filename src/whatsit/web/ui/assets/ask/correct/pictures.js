/** The pictures that a correction is about, in small. */

import { h } from "../lib/dom.js";

const PICTURES_SHOWN = 5;

/** @typedef {import("../item.js").Item} Item */

/**
 * One picture, or a stack of the first few.
 *
 * @param {Item[]} items
 * @param {string[]} addresses Gets the addresses that are to be revoked in the end.
 * @returns {HTMLElement}
 */
export function picturesOf(items, addresses) {
  const isStack = items.length > 1;
  const stack = h("div", { class: isStack ? "w-correct-stack" : "w-correct-one" });
  for (const item of items.slice(0, PICTURES_SHOWN)) {
    stack.append(pictureOf(item, isStack ? "" : item.name, addresses));
  }
  const more = items.length - PICTURES_SHOWN;
  if (more > 0) stack.append(h("span", { class: "w-correct-more" }, `+${more}`));
  return stack;
}

/**
 * A picture, or an empty frame where the browser cannot show it.
 *
 * @param {Item} item
 * @param {string} alt
 * @param {string[]} addresses See `picturesOf`.
 * @returns {HTMLElement}
 */
export function pictureOf(item, alt, addresses) {
  const blank = () => h("span", { class: "w-correct-picture w-correct-blank" });
  let source = item.thumbnail;
  if (!source && item.blob) {
    source = URL.createObjectURL(item.blob);
    addresses.push(source);
  }
  if (!source) return blank();
  const image = h("img", { class: "w-correct-picture", alt });
  image.addEventListener("error", () => image.replaceWith(blank()));
  image.src = source;
  return image;
}
