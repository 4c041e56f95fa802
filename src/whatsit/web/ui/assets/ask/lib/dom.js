/** Building and changing elements, without ever parsing text as HTML. */

/** @typedef {Node | string | number | null | undefined | false} Child What is nothing is left out. */
/** @typedef {Record<string, unknown> & {style?: Record<string, string | number>}} Attributes */

/**
 * An element with its attributes and children.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes] Functions become properties (`onclick`), `true` an empty
 *   attribute; `false`, `null` and `undefined` are left out; `style` takes custom properties.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") Object.assign(element, { [name]: value });
    else if (name === "style") setProperties(element, attributes.style ?? {});
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child instanceof Node) element.append(child);
    else if (typeof child === "string" || typeof child === "number") element.append(String(child));
  }
  return element;
}

/**
 * A push button.
 *
 * @param {Attributes} attributes See `h`; a button does nothing without `onclick` or a listener.
 * @param {...Child} children
 * @returns {HTMLButtonElement}
 */
export function button(attributes, ...children) {
  return h("button", { type: "button", ...attributes }, ...children);
}

/**
 * The element that has the focus, also inside a shadow tree.
 *
 * @param {Node} node Any node of that tree.
 * @returns {HTMLElement | null}
 */
export function focused(node) {
  const root = node.getRootNode();
  const isTree = root instanceof Document || root instanceof ShadowRoot;
  return isTree ? /** @type {HTMLElement | null} */ (root.activeElement) : null;
}

/**
 * Set a text only where it differs, so that nothing is laid out or read aloud again for nothing.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set an attribute only where it differs.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * @param {HTMLElement} element
 * @param {Record<string, string | number>} properties
 */
function setProperties(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    element.style.setProperty(name, String(value));
  }
}
