/** One answer: the picture, the sentence, the evidence, and what can be done with it. */

import { SERVICE } from "./api.js";
import { openCorrection } from "./correct.js";
import { h, icon } from "./dom.js";
import { formatMilliseconds, formatPercent, nameOf, sentenceOf, t } from "./i18n.js";
import { problemSentence } from "./problems.js";
import { copyButton, createSnippets } from "./snippets.js";
import { createWhy } from "./why.js";

/**
 * The view of one item; drawn anew by `show`, its picture let go of by `clear`.
 *
 * @param {{api: import("./api.js").Api, keysRequired: boolean,
 *   computedMs: (sha256: string) => number|undefined, onBack: () => void,
 *   onCorrected: (item: Object) => void}} options
 * @returns {{element: HTMLElement, show: (item: Object, canGoBack: boolean) => void,
 *   clear: () => void}}
 */
export function createAnswer(options) {
  const element = h("article", { class: "w-answer", hidden: true, "aria-label": t("page.answer") });
  let address = null;

  function clear() {
    element.replaceChildren();
    element.hidden = true;
    if (address !== null) URL.revokeObjectURL(address);
    address = null;
  }

  function show(item, canGoBack) {
    const isSame = element.dataset.item === item.id && address !== null;
    const kept = isSame ? address : null;
    if (isSame) address = null;
    clear();
    address = kept ?? (item.blob && URL.createObjectURL(item.blob));
    element.dataset.item = item.id;
    element.hidden = false;
    const redraw = () => show(item, canGoBack);
    const picture = pictureOf(item, address);
    element.append(
      canGoBack ? backBar(options, item) : "",
      h("div", { class: "w-answer-left" }, picture, item.reply && whyOf(options, item, picture)),
      h("div", { class: "w-answer-right" }, ...bodyOf(options, item, redraw)),
    );
  }

  return { element, show, clear };
}

function backBar({ onBack }, item) {
  const back = h("button", { type: "button", class: "w-button", onclick: onBack });
  back.append(icon("back"), t("page.back"));
  return h("div", { class: "w-row w-answer-bar" }, back, h("span", { class: "w-name" }, item.name));
}

function pictureOf(item, address) {
  const frame = h("figure", { class: "w-picture" });
  const tile = () => h("div", { class: "w-blank" }, icon("picture"), h("span", {}, item.name));
  const source = address ?? item.thumbnail;
  if (source === null || source === undefined) {
    frame.append(tile());
    return frame;
  }
  const picture = h("img", { src: source, alt: item.reply ? sentenceOf(item.reply.answer) : "" });
  picture.addEventListener("error", () => picture.replaceWith(tile()), { once: true });
  frame.append(picture);
  return frame;
}

function whyOf({ api }, item, picture) {
  return item.blob && createWhy({ api, item, picture });
}

function bodyOf(options, item, redraw) {
  if (item.state === "refused") {
    return [h("p", { class: "w-notice", role: "alert" }, problemSentence(item.problem))];
  }
  if (item.reply === null) {
    return [
      h("p", { class: "w-sentence w-thinking" }, t("page.thinking")),
      h("div", { class: "w-skeleton", "aria-hidden": "true" }),
    ];
  }
  const { answer, top } = item.reply;
  return [
    certainty(answer),
    sentence(answer),
    path(options, answer),
    verdict(options, item, redraw),
    bars(top),
    receipt(options, item.reply),
    h("div", { class: "w-row" }, share(item)),
    createSnippets({
      origin: SERVICE,
      name: item.blob ? item.name : "picture.jpg",
      keysRequired: options.keysRequired,
    }),
  ];
}

function certainty({ certainty, recognised }) {
  const kind = recognised ? certainty : "unknown";
  return h("p", { class: `w-certainty w-certainty-${kind}` }, t(`page.certainty_${kind}`));
}

function sentence(answer) {
  // A percentage is not torn from its sign at the end of a line.
  const [committed, ...further] = sentenceOf(answer).replaceAll(" %", "\u00a0%").split("; ");
  const rest = further.join("; ");
  return h(
    "h2",
    { class: "w-sentence" },
    rest ? `${committed}; ` : committed,
    rest && h("span", { class: "w-further" }, rest),
  );
}

function path({ api }, answer) {
  if (!answer.recognised || answer.wnid === null) return "";
  const steps = (answer.path.length > 1 ? answer.path : []).map((name, index, all) => {
    const isLast = index === all.length - 1;
    const known = isLast && answer.label === name ? answer : { wnid: null, label: name };
    return h("li", {}, nameOf(known));
  });
  const text = h("p", { class: "w-definition", hidden: true, "aria-live": "polite" });
  const ask = h(
    "button",
    { type: "button", class: "w-link", "aria-expanded": "false" },
    t("page.define", { label: nameOf(answer) }),
  );
  ask.onclick = async () => {
    text.hidden = !text.hidden;
    ask.setAttribute("aria-expanded", String(!text.hidden));
    if (text.hidden || text.textContent !== "") return;
    try {
      const { definition } = await api.label(answer.wnid);
      text.textContent = definition || t("page.no_definition");
    } catch {
      text.textContent = t("page.no_definition");
    }
  };
  const list = h("ol", { class: "w-path", "aria-label": t("page.path") }, ...steps);
  return h("div", { class: "w-path-row" }, steps.length > 0 && list, ask, text);
}

function bars(top) {
  const rows = top.map((entry) =>
    h(
      "li",
      { class: "w-bar" },
      h("span", { class: "w-bar-name" }, nameOf(entry)),
      h("span", { class: "w-bar-percent" }, formatPercent(entry.score)),
      h(
        "span",
        { class: "w-bar-track", "aria-hidden": "true" },
        h("span", { class: "w-bar-fill", style: { "--w-share": entry.score.toFixed(4) } }),
      ),
    ),
  );
  return h("ol", { class: "w-bars", "aria-label": t("page.guesses") }, ...rows);
}

function receipt({ computedMs }, { cache, timings_ms: timings, image }) {
  const time = formatMilliseconds(timings.total ?? 0);
  const computed = computedMs(image.sha256);
  const isKept = cache === "hit" || cache === "coalesced";
  const words = !isKept
    ? t("page.receipt_computed", { time })
    : computed === undefined
      ? t("page.receipt_cache", { time })
      : t("page.receipt_both", { time, computed: formatMilliseconds(computed) });
  const facts = `${image.width} × ${image.height} ${image.format}`;
  return h(
    "p",
    { class: "w-receipt" },
    h("span", { class: isKept ? "w-dot w-dot-kept" : "w-dot" }, words),
    h("span", {}, facts),
  );
}

function share({ reply }) {
  const address = () => {
    const link = new URL(window.location.href);
    link.search = new URLSearchParams({ answer: reply.image.sha256 }).toString();
    link.hash = "";
    return link.href;
  };
  return copyButton(t("page.share"), address, "link");
}

function verdict(options, item, redraw) {
  const { api, onCorrected } = options;
  const { reply } = item;
  const settle = (correction) => {
    if (correction) reply.correction = correction;
    else delete reply.correction;
    onCorrected(item);
    redraw();
  };
  const trouble = h("p", { class: "w-small w-bad", role: "alert" });
  const attempt = async (work) => {
    trouble.textContent = "";
    try {
      await work();
    } catch (error) {
      if (error.detail === undefined) throw error;
      trouble.textContent = problemSentence(error);
    }
  };
  const content = reply.correction
    ? said(reply.correction, () => attempt(async () => settle(await undo(api, reply))))
    : question(options, item, settle, attempt);
  return h("div", { class: "w-verdict" }, content, trouble);
}

function question({ api }, item, settle, attempt) {
  const { answer, image } = item.reply;
  const right = h("button", { type: "button", class: "w-button" }, icon("yes"), t("page.right"));
  const wrong = h("button", { type: "button", class: "w-button" }, icon("no"), t("page.wrong"));
  right.onclick = () =>
    attempt(async () => {
      const { label, wnid } = answer;
      settle(await api.sendFeedback({ sha256: image.sha256, verdict: "right", label, wnid }));
    });
  wrong.onclick = () =>
    attempt(async () => {
      const onUndone = () => settle(item.reply.correction ?? null);
      const saved = await openCorrection({ api, items: [item], anchor: wrong, onUndone });
      if (saved) settle(item.reply.correction);
    });
  const words = h("span", { class: "w-question" }, t("page.question"));
  return h("div", { class: "w-row" }, words, answer.recognised && right, wrong);
}

function said(correction, onUndo) {
  const words =
    correction.verdict === "other"
      ? t("page.corrected", { label: nameOf(correction) })
      : t(correction.verdict === "none" ? "page.corrected_none" : "page.confirmed");
  const undo = h("button", { type: "button", class: "w-button", onclick: onUndo });
  undo.append(icon("undo"), t("page.undo"));
  return h("div", { class: "w-row" }, h("span", { class: "w-corrected", role: "status" }, words), undo);
}

async function undo(api, { correction }) {
  await api.undoFeedback(correction.id);
  return null;
}
