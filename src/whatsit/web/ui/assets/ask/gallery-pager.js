/** Numbered pages. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { button, icon } from "./gallery-nodes.js";

/**
 * The page numbers that are worth a button; 0 stands for a gap.
 * @param {number} page
 * @param {number} last
 * @returns {number[]}
 */
export function pageNumbers(page, last) {
  const near = [1, page - 1, page, page + 1, last].filter((one) => one >= 1 && one <= last);
  const numbers = [...new Set(near)].sort((a, b) => a - b);
  return numbers.flatMap((one, place) => {
    const gap = one - (numbers[place - 1] ?? 0);
    if (gap === 2) return [one - 1, one];
    return gap > 2 ? [0, one] : [one];
  });
}

/**
 * A pager; it hides itself while one page is enough.
 * @param {{onPage: (page: number) => void}} options
 * @returns {{element: HTMLElement, show: (page: number, last: number) => void}}
 */
export function createPager({ onPage }) {
  let page = 1;
  let last = 0;
  const go = (name, step, shape) =>
    button("w-pager-button", [icon(shape)], () => turn(page + step), { "aria-label": t(`gallery.page.${name}`) });
  const turn = (to) => to >= 1 && to <= last && onPage(to);
  const previous = go("previous", -1, "back");
  const next = go("next", 1, "forward");
  const numbers = h("div", { class: "w-pager-numbers" });
  const words = h("span", { class: "w-pager-words" });
  const element = h("nav", { class: "w-pager" }, previous, numbers, words, next);
  element.setAttribute("aria-label", t("gallery.page.all"));

  function numberButton(one) {
    if (one === 0) return h("span", { class: "w-pager-gap", "aria-hidden": "true" }, "…");
    const label = t("gallery.page.one", { page: one });
    const made = button("w-pager-button", [String(one)], () => turn(one), { "aria-label": label });
    if (one === page) made.setAttribute("aria-current", "page");
    return made;
  }

  return {
    element,
    show(nextPage, nextLast) {
      if (nextPage === page && nextLast === last) return;
      const number = numbers.contains(numbers.getRootNode().activeElement);
      [page, last] = [nextPage, nextLast];
      element.hidden = last <= 1;
      // Not `disabled`: the button that was just pressed would lose the focus.
      previous.setAttribute("aria-disabled", String(page <= 1));
      next.setAttribute("aria-disabled", String(page >= last));
      numbers.replaceChildren(...pageNumbers(page, last).map(numberButton));
      words.textContent = t("gallery.page.of", { page, last });
      if (number) numbers.querySelector("[aria-current]")?.focus({ preventScroll: true });
    },
  };
}
