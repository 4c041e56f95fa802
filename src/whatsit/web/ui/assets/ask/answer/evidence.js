/** An answer in words, and what it rests on. */

import { formatMilliseconds, formatPercent, nameOf, sentenceOf, t } from "../i18n.js";
import { button, h } from "../lib/dom.js";

/** @typedef {import("../api.js").AnswerFacts} AnswerFacts */

/**
 * How sure the model is, in a word or two.
 *
 * @param {AnswerFacts} answer
 */
export function certainty({ certainty, recognised }) {
  const kind = recognised ? certainty : "unknown";
  return h("p", { class: `w-certainty w-certainty-${kind}` }, t(`page.certainty_${kind}`));
}

/**
 * The sentence; what it does not commit to stands back.
 *
 * @param {AnswerFacts} answer
 */
export function sentence(answer) {
  // A percentage is not torn from its sign at the end of a line.
  const [committed, ...further] = sentenceOf(answer).replaceAll(" %", "\u00a0%").split("; ");
  const rest = further.join("; ");
  if (!rest) return h("h2", { class: "w-sentence" }, committed);
  const aside = h("span", { class: "w-further" }, rest);
  return h("h2", { class: "w-sentence" }, `${committed}; `, aside);
}

/**
 * The path from the general to the label, and its definition on demand.
 *
 * @param {AnswerFacts} answer
 * @param {import("../api.js").Api} api
 */
export function path(answer, api) {
  const { wnid } = answer;
  if (!answer.recognised || wnid === null) return "";
  const names = answer.path.length > 1 ? answer.path : [];
  const steps = names.map((label, place) => {
    const isAnswer = place === names.length - 1 && label === answer.label;
    return h("li", {}, nameOf(isAnswer ? answer : { label }));
  });
  const text = h("p", { class: "w-definition", hidden: true, "aria-live": "polite" });
  const onclick = async () => {
    text.hidden = !text.hidden;
    ask.setAttribute("aria-expanded", String(!text.hidden));
    if (text.hidden || text.textContent !== "") return;
    try {
      const { definition } = await api.label(wnid);
      text.textContent = definition || t("page.no_definition");
    } catch {
      text.textContent = t("page.no_definition");
    }
  };
  const words = t("page.define", { label: nameOf(answer) });
  const ask = button({ class: "w-link", "aria-expanded": "false", onclick }, words);
  const list = h("ol", { class: "w-path", "aria-label": t("page.path") }, ...steps);
  return h("div", { class: "w-path-row" }, steps.length > 0 && list, ask, text);
}

/**
 * The best guesses as bars.
 *
 * @param {import("../api.js").Scored[]} top
 */
export function bars(top) {
  const rows = top.map((guess) => {
    const fill = h("span", { class: "w-bar-fill", style: { "--w-share": guess.score.toFixed(4) } });
    return h(
      "li",
      { class: "w-bar" },
      h("span", { class: "w-bar-name" }, nameOf(guess)),
      h("span", { class: "w-bar-percent" }, formatPercent(guess.score)),
      h("span", { class: "w-bar-track", "aria-hidden": "true" }, fill),
    );
  });
  return h("ol", { class: "w-bars", "aria-label": t("page.guesses") }, ...rows);
}

/**
 * Where the answer came from, how long it took, and of which picture it is.
 *
 * @param {import("../api.js").Reply} reply
 * @param {number | undefined} computedMs How long a kept answer once took, where it is known.
 */
export function receipt({ cache, timings_ms: timings, image }, computedMs) {
  const time = formatMilliseconds(timings.total ?? 0);
  const isKept = cache === "hit" || cache === "coalesced";
  let words = t("page.receipt_computed", { time });
  if (isKept && computedMs === undefined) words = t("page.receipt_cache", { time });
  else if (isKept) {
    words = t("page.receipt_both", { time, computed: formatMilliseconds(computedMs ?? 0) });
  }
  return h(
    "p",
    { class: "w-receipt" },
    h("span", { class: isKept ? "w-dot w-dot-kept" : "w-dot" }, words),
    h("span", {}, `${image.width} × ${image.height} ${image.format}`),
  );
}
