/** The colours of the page around us. */

/**
 * Whether the page around us is dark; it may differ from what the system asks for.
 *
 * @param {HTMLElement} root
 * @returns {boolean}
 */
export function isDark(root) {
  const probe = document.createElement("span");
  probe.style.setProperty("color", "var(--st-background-color)");
  root.append(probe);
  const channels = getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255];
  probe.remove();
  const [red, green, blue] = channels.map(Number);
  return 0.3 * red + 0.6 * green + 0.1 * blue < 110;
}

/**
 * The outermost element around another that has our colours: what stands there looks like the page.
 *
 * @param {Element | null} anchor
 * @returns {Element | ShadowRoot}
 */
export function themedHome(anchor) {
  if (!anchor?.isConnected) return document.body;
  /** @type {Element} */
  let home = document.body;
  /** @type {Element | null} */
  let up = anchor;
  while (up && up !== document.documentElement) {
    if (getComputedStyle(up).getPropertyValue("--w-surface").trim()) home = up;
    up = up.parentElement;
  }
  if (!home.matches("button, a, input")) return home;
  const root = home.getRootNode();
  return root instanceof ShadowRoot ? root : document.body; // the host of a root has the colours
}
