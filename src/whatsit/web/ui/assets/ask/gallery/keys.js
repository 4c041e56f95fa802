/** Where the keyboard leads in a grid that is shown a page at a time. */

/**
 * The place that a key leads to; null for keys that lead nowhere.
 *
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean}} event
 * @param {object} grid
 * @param {number} grid.place Where the focus is, from 0.
 * @param {number} grid.count How many there are on all pages.
 * @param {number} grid.columns
 * @param {number} grid.pageSize
 * @returns {number | null}
 */
export function destination({ key, ctrlKey, metaKey, altKey }, grid) {
  const { place, count, columns, pageSize } = grid;
  const last = count - 1;
  const begin = place - (place % pageSize);
  const isFar = ctrlKey || metaKey;
  if (altKey) return null;
  switch (key) {
    case "ArrowLeft":
      return Math.max(place - 1, 0);
    case "ArrowRight":
      return Math.min(place + 1, last);
    case "ArrowUp":
      return place >= columns ? place - columns : place;
    case "ArrowDown":
      return Math.min(place + columns, last);
    case "Home":
      return isFar ? 0 : begin;
    case "End":
      return isFar ? last : Math.min(begin + pageSize - 1, last);
    case "PageUp":
      return Math.max(place - pageSize, 0);
    case "PageDown":
      return Math.min(place + pageSize, last);
    default:
      return null;
  }
}
