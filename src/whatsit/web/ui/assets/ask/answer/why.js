/** "Why?": the parts of a picture that speak for a label, laid over it. */

import { nameOf, t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { Problem, problemSentence } from "../problems.js";

/** @typedef {import("../api.js").Scored} Scored */

/**
 * A switch and a choice of label below a picture.
 *
 * @param {object} options
 * @param {import("../api.js").Api} options.api
 * @param {Blob} options.blob The picture.
 * @param {Scored[]} options.top The labels that can be asked about.
 * @param {HTMLElement} options.frame Where the overlay comes into.
 * @returns {HTMLElement}
 */
export function createWhy({ api, blob, top, frame }) {
  const choice = h("select", { class: "w-input", "aria-label": t("page.why_label") });
  choice.append(...top.map((entry) => h("option", { value: entry.label }, nameOf(entry))));
  const more = h("label", { class: "w-why-choice", hidden: true }, t("page.why_label"), choice);
  const trouble = h("p", { class: "w-small w-bad", role: "alert" });
  const off = { class: "w-button w-toggle", "aria-pressed": "false" };
  const toggle = button(off, icon("eye"), t("page.why"));
  let turn = 0;

  const isOn = () => toggle.getAttribute("aria-pressed") === "true";

  async function draw() {
    const ours = ++turn;
    const label = choice.value;
    trouble.textContent = "";
    frame.classList.add("w-loading");
    try {
      const overlay = await overlayOf(await api.explain(blob, label), nameIn(top, label));
      if (ours === turn) replaceOverlay(frame, overlay);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (ours === turn) trouble.textContent = problemSentence(error);
    } finally {
      if (ours === turn) frame.classList.remove("w-loading");
    }
  }

  toggle.onclick = () => {
    toggle.setAttribute("aria-pressed", String(!isOn()));
    more.hidden = !isOn();
    if (isOn()) {
      draw();
      return;
    }
    turn += 1;
    frame.classList.remove("w-loading");
    trouble.textContent = "";
    replaceOverlay(frame, null);
  };
  choice.onchange = draw;
  return h("div", { class: "w-why" }, h("div", { class: "w-row" }, toggle, more), trouble);
}

/**
 * @param {Blob} blob
 * @param {string} label
 */
async function overlayOf(blob, label) {
  const address = URL.createObjectURL(blob);
  const overlay = h("img", { class: "w-overlay-picture", alt: t("page.why_alt", { label }) });
  overlay.src = address;
  try {
    await overlay.decode();
  } finally {
    URL.revokeObjectURL(address);
  }
  return overlay;
}

/**
 * @param {HTMLElement} frame
 * @param {HTMLElement | null} overlay
 */
function replaceOverlay(frame, overlay) {
  frame.querySelector(".w-overlay-picture")?.remove();
  if (overlay !== null) frame.append(overlay);
}

/**
 * @param {Scored[]} top
 * @param {string} label
 */
function nameIn(top, label) {
  return nameOf(top.find((entry) => entry.label === label) ?? { label });
}
