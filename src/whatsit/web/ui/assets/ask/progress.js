/** How far many pictures are, and the way to stop. */

import { t } from "./i18n.js";
import { button, h } from "./lib/dom.js";

/**
 * A bar that is there while there is something to wait for.
 *
 * @param {object} options
 * @param {() => void} options.onCancel
 * @param {(count: number) => void} options.onDone Called once all of several pictures are done.
 * @returns {{element: HTMLElement, show: (progress: import("./queue.js").Progress) => void}}
 */
export function createProgress({ onCancel, onDone }) {
  const text = h("span", { class: "w-progress-text" });
  const names = { class: "w-progress-bar", "aria-label": t("page.progress_label") };
  const bar = h("progress", names);
  const cancel = button({ class: "w-button", onclick: onCancel }, t("page.cancel"));
  const element = h("div", { class: "w-progress", hidden: true }, text, bar, cancel);

  return {
    element,
    show({ done, total, pauseSeconds }) {
      const isWorthIt = total > 1 || pauseSeconds > 0;
      element.hidden = !isWorthIt || done >= total;
      if (total > 1 && done === total) onDone(total);
      text.textContent = pauseSeconds
        ? t("page.progress_pause", { count: pauseSeconds })
        : t("page.progress", { done, total });
      bar.max = Math.max(total, 1);
      bar.value = done;
    },
  };
}
