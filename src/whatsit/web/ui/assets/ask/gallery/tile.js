/** One tile: a thumbnail and what is known of it. */

import { formatPercent, t } from "../i18n.js";
import { h, setAttribute } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { problemSentence } from "../problems.js";

/**
 * @typedef {object} Facts What a tile says.
 * @property {string} headline
 * @property {string} detail
 * @property {string} tone Which colour its dot has.
 * @property {string} badge "" for none.
 * @property {number|null} score Length of the bar.
 */

/**
 * @param {import("./entry.js").Entry} entry
 * @returns {Facts}
 */
function answeredFacts(entry) {
  const percent = formatPercent(entry.score ?? 0);
  if (entry.state === "corrected") {
    const said = t("gallery.tile.said", { label: entry.said, percent });
    const headline = entry.name || t("gallery.tile.none");
    return { headline, detail: said, tone: "corrected", badge: "corrected", score: null };
  }
  const badge = entry.state === "confirmed" ? "confirmed" : "";
  if (!entry.label) {
    const headline = t("gallery.certainty.unrecognised");
    const detail = t("gallery.tile.closest", { label: entry.said });
    return { headline, detail, tone: "unrecognised", badge, score: null };
  }
  const certainty = t(`gallery.certainty.${entry.certainty}`);
  const detail = t("gallery.tile.certain", { percent, certainty });
  const tone = entry.certainty ?? "waiting";
  return { headline: entry.name, detail, tone, badge, score: entry.score };
}

/**
 * What a tile says, in words.
 * @param {import("./entry.js").Entry} entry
 * @returns {Facts}
 */
export function factsOf(entry) {
  if (entry.state === "refused") {
    const { problem } = entry.item;
    const detail = problem?.detail ? problemSentence(problem) : t("gallery.tile.failed");
    return {
      headline: t("gallery.state.refused"),
      detail,
      tone: "refused",
      badge: "",
      score: null,
    };
  }
  if (entry.state === "waiting" || entry.state === "asking") {
    const headline = t(`gallery.state.${entry.state}`);
    return { headline, detail: "", tone: "waiting", badge: "", score: null };
  }
  return answeredFacts(entry);
}

/**
 * A tile that `fillTile` has yet to fill.
 * @param {string} id Of the element.
 * @returns {HTMLElement}
 */
export function makeTile(id) {
  const mark = h(
    "span",
    { class: "w-tile-mark", "aria-hidden": "true" },
    h("span", {}, icon("select")),
  );
  return h(
    "div",
    { class: "w-tile", role: "option", id, tabindex: "-1", "aria-selected": "false" },
    h("div", { class: "w-tile-picture" }, mark),
    h("div", { class: "w-tile-text" }),
  );
}

/**
 * @param {Element} box
 * @param {import("./entry.js").Entry} entry
 * @param {Facts} facts
 */
function fillPicture(box, entry, facts) {
  for (const old of box.querySelectorAll("img, .w-tile-blank, .w-tile-badge")) old.remove();
  const shape = facts.tone === "refused" ? "broken" : "picture";
  const blank = () => h("span", { class: "w-tile-blank" }, icon(shape));
  const source = entry.item.thumbnail;
  if (source) {
    const image = h("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    image.addEventListener("error", () => image.replaceWith(blank()), { once: true });
    image.src = source;
    box.prepend(image);
  } else {
    box.prepend(blank());
  }
  if (facts.badge) {
    box.append(h("span", { class: "w-tile-badge" }, t(`gallery.state.${facts.badge}`)));
  }
}

/**
 * @param {import("./entry.js").Entry} entry
 * @param {Facts} facts
 */
function textOf(entry, facts) {
  const lines = [h("span", { class: "w-tile-label", title: facts.headline }, facts.headline)];
  if (facts.score !== null) {
    const bar = h("span", { class: "w-tile-score" }, h("span", {}));
    bar.style.setProperty("--w-score", String(facts.score));
    lines.push(bar);
  }
  if (facts.detail) {
    lines.push(h("span", { class: "w-tile-detail", title: facts.detail }, facts.detail));
  }
  lines.push(h("span", { class: "w-tile-name", title: entry.path }, entry.item.name));
  return lines;
}

/**
 * Make a tile say what its entry is now; nothing is touched if it does already.
 * @param {HTMLElement} tile
 * @param {import("./entry.js").Entry} entry
 */
export function fillTile(tile, entry) {
  const facts = factsOf(entry);
  const shown = JSON.stringify([facts, entry.path]);
  const [picture, text] = tile.children;
  const look = JSON.stringify([entry.item.thumbnail, facts.tone, facts.badge]);
  if (tile.dataset.look !== look) {
    tile.dataset.look = look;
    fillPicture(picture, entry, facts);
  }
  if (tile.dataset.shown === shown) return;
  tile.dataset.shown = shown;
  tile.dataset.tone = facts.tone;
  tile.dataset.id = entry.id;
  text.replaceChildren(...textOf(entry, facts));
  const badge = facts.badge ? t(`gallery.state.${facts.badge}`) : "";
  const words = [entry.item.name, facts.headline, facts.detail, badge];
  setAttribute(tile, "aria-label", words.filter(Boolean).join(", "));
}
