/** Children that are kept in step with a list. */

import { focused } from "./dom.js";

/**
 * Give a parent exactly these children in this order.
 *
 * As few as possible are moved, and the focus stays where it is as long as its element stays.
 *
 * @param {Element} parent
 * @param {HTMLElement[]} wanted
 */
export function reconcile(parent, wanted) {
  const kept = new Set(/** @type {Element[]} */ (wanted));
  const holder = focused(parent);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = child.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  // A browser takes the focus from an element that is moved.
  if (holder && parent.contains(holder) && focused(parent) !== holder) {
    holder.focus({ preventScroll: true });
  }
}
