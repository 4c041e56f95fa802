/** "Why?": the parts of a picture that speak for a label, laid over it. */

import { h, icon } from "./dom.js";
import { nameOf, t } from "./i18n.js";
import { problemSentence } from "./problems.js";

/**
 * A switch and a choice of label below a picture.
 *
 * @param {{api: import("./api.js").Api, item: Object, picture: HTMLElement}} options `picture` is
 *   the frame that the overlay comes into.
 * @returns {HTMLElement}
 */
export function createWhy({ api, item, picture }) {
  const { top } = item.reply;
  const choice = h("select", { class: "w-input", "aria-label": t("page.why_label") });
  choice.append(...top.map((entry) => h("option", { value: entry.label }, nameOf(entry))));
  const more = h("label", { class: "w-why-choice", hidden: true }, t("page.why_label"), choice);
  const trouble = h("p", { class: "w-small w-bad", role: "alert" });
  const toggle = h(
    "button",
    { type: "button", class: "w-button w-toggle", "aria-pressed": "false" },
    icon("eye"),
    t("page.why"),
  );
  let turn = 0;

  const isOn = () => toggle.getAttribute("aria-pressed") === "true";

  async function draw() {
    const ours = ++turn;
    const label = choice.value;
    trouble.textContent = "";
    picture.classList.add("w-loading");
    try {
      const overlay = await overlayOf(await api.explain(item.blob, label), labelOf(top, label));
      if (ours === turn) replaceOverlay(picture, overlay);
    } catch (error) {
      if (error.detail === undefined) throw error;
      if (ours === turn) trouble.textContent = problemSentence(error);
    } finally {
      if (ours === turn) picture.classList.remove("w-loading");
    }
  }

  toggle.onclick = () => {
    toggle.setAttribute("aria-pressed", String(!isOn()));
    more.hidden = !isOn();
    if (isOn()) return draw();
    turn += 1;
    picture.classList.remove("w-loading");
    trouble.textContent = "";
    replaceOverlay(picture, null);
  };
  choice.onchange = draw;
  return h("div", { class: "w-why" }, h("div", { class: "w-row" }, toggle, more), trouble);
}

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

function replaceOverlay(picture, overlay) {
  picture.querySelector(".w-overlay-picture")?.remove();
  if (overlay !== null) picture.append(overlay);
}

function labelOf(top, label) {
  return nameOf(top.find((entry) => entry.label === label));
}
