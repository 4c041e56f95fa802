/** Nodes of the gallery: icons, buttons, and children that are kept in step with a list. */

import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20.5 20.5",
  filter: "M4 6h16M7 12h10M10 18h4",
  select: "M4.5 12.5l4 4L19.5 6.5",
  save: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  pen: "M4.5 19.5l1-4.2L16 4.8l3.2 3.2L8.7 18.5l-4.2 1ZM13.6 7.2l3.2 3.2",
  close: "M6 6l12 12M18 6 6 18",
  back: "M14.5 5.5 8 12l6.5 6.5",
  forward: "M9.5 5.5 16 12l-6.5 6.5",
  picture: "M4 5.5h16v13H4ZM4 16l4.5-4.5 3.5 3.5 3-3 5 4.5M15.5 9h.01",
  broken: "M4 5.5h16v13H4ZM9.5 9.5l5 5M14.5 9.5l-5 5",
};

/**
 * A line icon that says nothing to a screen reader.
 * @param {keyof typeof SHAPES} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "w-icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/**
 * A push button.
 * @param {string} name Class of it.
 * @param {(Node|string)[]} children
 * @param {() => void} onClick
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(name, children, onClick, attributes = {}) {
  const made = h("button", { type: "button", class: name, ...attributes }, ...children);
  made.addEventListener("click", onClick);
  return made;
}

/**
 * The element that has the focus, also inside a shadow tree.
 * @param {Node} node Any node of that tree.
 * @returns {Element|null}
 */
export function focused(node) {
  return node.getRootNode().activeElement ?? null;
}

/**
 * Give a parent exactly these children in this order, moving as few as can be; the focus stays
 * where it was as long as its element stays.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function reconcile(parent, wanted) {
  const keep = new Set(wanted);
  const holder = focused(parent);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let cursor = parent.firstElementChild;
  for (const child of wanted) {
    if (child === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(child, cursor);
  }
  if (holder && keep.has(holder) && focused(parent) !== holder) {
    holder.focus({ preventScroll: true });
  }
}

/**
 * Set a text only where it differs, so that nothing is laid out or read aloud again for nothing.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set an attribute only where it differs.
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
