/** Numbered pages. */

import { t } from "../i18n.js";
import { button, focused, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/**
 * The page numbers that are worth a button; 0 stands for a gap.
 *
 * @param {number} page
 * @param {number} last
 * @returns {number[]}
 */
export function pageNumbers(page, last) {
  const near = [1, page - 1, page, page + 1, last].filter((one) => one >= 1 && one <= last);
  const numbers = [...new Set(near)].sort((one, other) => one - other);
  return numbers.flatMap((one, place) => {
    const gap = one - (numbers[place - 1] ?? 0);
    if (gap === 2) return [one - 1, one];
    return gap > 2 ? [0, one] : [one];
  });
}

/**
 * A pager; it hides itself while one page is enough.
 *
 * @param {{onPage: (page: number) => void}} options
 * @returns {{element: HTMLElement, show: (page: number, last: number) => void}}
 */
export function createPager({ onPage }) {
  let page = 1;
  let last = 0;
  const turn = (/** @type {number} */ to) => to >= 1 && to <= last && onPage(to);
  const back = { "aria-label": t("gallery.page.previous"), onclick: () => turn(page - 1) };
  const previous = button({ class: "w-pager-button", ...back }, icon("back"));
  const forward = { "aria-label": t("gallery.page.next"), onclick: () => turn(page + 1) };
  const next = button({ class: "w-pager-button", ...forward }, icon("forward"));
  const numbers = h("div", { class: "w-pager-numbers" });
  const words = h("span", { class: "w-pager-words" });
  const area = { class: "w-pager", "aria-label": t("gallery.page.all") };
  const element = h("nav", area, previous, numbers, words, next);

  /** @param {number} one */
  function numberButton(one) {
    if (one === 0) return h("span", { class: "w-pager-gap", "aria-hidden": "true" }, "…");
    const label = t("gallery.page.one", { page: one });
    const current = one === page ? "page" : null;
    const facts = { class: "w-pager-button", "aria-label": label, "aria-current": current };
    return button({ ...facts, onclick: () => turn(one) }, one);
  }

  return {
    element,
    show(nextPage, nextLast) {
      if (nextPage === page && nextLast === last) return;
      const hadFocus = numbers.contains(focused(numbers));
      page = nextPage;
      last = nextLast;
      element.hidden = last <= 1;
      // Not `disabled`: the button that was just pressed would lose the focus.
      previous.setAttribute("aria-disabled", String(page <= 1));
      next.setAttribute("aria-disabled", String(page >= last));
      numbers.replaceChildren(...pageNumbers(page, last).map(numberButton));
      words.textContent = t("gallery.page.of", { page, last });
      if (!hadFocus) return;
      /** @type {HTMLElement | null} */
      const current = numbers.querySelector("[aria-current]");
      current?.focus({ preventScroll: true });
    },
  };
}
