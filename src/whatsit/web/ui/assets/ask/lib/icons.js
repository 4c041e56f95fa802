/** Our line drawings, as large as the text beside them. */

const SVG = "http://www.w3.org/2000/svg";

const LINES = {
  back: "M15 5l-7 7 7 7",
  broken: "M4 5h16v14H4z M9.500 9.500l5 5 M14.500 9.500l-5 5",
  camera: "M4 8h3l2-3h6l2 3h3v11H4z M12 10.200a3.300 3.300 0 1 0 .01 0z",
  close: "M6 6l12 12 M18 6L6 18",
  copy: "M9 9h10v11H9z M15 9V4H5v11h4",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z M12 9.300a2.700 2.700 0 1 0 .01 0z",
  filter: "M4 6h16 M7 12h10 M10 18h4",
  folder: "M3 6h6l2 2.500h10V19H3z",
  forward: "M9 5l7 7-7 7",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.700-5.700l-1 1 M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.700 5.700l1-1",
  no: "M7 4v9 M7 13l4.500 7.500c1.500 0 2.300-1 2-2.600L12.800 14H19a2 2 0 0 0 2-2.400l-1.300-6A2 2 0 0 0 17.700 4H7 M3.500 4v9",
  pen: "M4.500 19.500l1-4.200L16 4.800l3.200 3.200L8.700 18.500l-4.200 1z M13.600 7.200l3.200 3.200",
  picture: "M4 5h16v14H4z M4 16l5-5 4 4 2.500-2.500L20 17 M15.500 8.200a1.200 1.200 0 1 0 .01 0z",
  save: "M12 4v11 M7 10.500l5 5 5-5 M5 20h14",
  search: "M10.500 4a6.500 6.500 0 1 0 .01 0z M15.500 15.500l5 5",
  select: "M4.500 12.500l4 4L19.500 6.500",
  undo: "M9 7L4.500 11.500 9 16 M4.500 11.500H15a4.500 4.500 0 0 1 0 9h-3",
  yes: "M7 20v-9 M7 11l4.500-7.500c1.500 0 2.300 1 2 2.600L12.800 10H19a2 2 0 0 1 2 2.400l-1.300 6a2 2 0 0 1-2 1.600H7 M3.500 20v-9",
};

/** @typedef {keyof typeof LINES} IconName */

/**
 * A drawing that is invisible to screen readers.
 *
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", LINES[name]);
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "w-icon");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(line);
  return /** @type {SVGElement} */ (drawing);
}
