/** Every way for pictures to come in: drop, browse, folder, paste, camera, address. */

import { t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { createCamera } from "./camera.js";
import { fromClipboard, fromDrop, fromPicker } from "./pictures.js";

const ACCEPTED = "image/*,.heic,.heif,.avif";

/**
 * @typedef {object} Options
 * @property {(found: import("./pictures.js").Found[]) => void} onPictures
 * @property {(url: string) => void} onUrl
 * @property {boolean} urls Whether addresses are taken.
 * @property {number} maxUploadBytes
 */

/**
 * The drop zone with its buttons; drops and pastes count wherever on the page they happen.
 *
 * @param {Options} options
 * @returns {{element: HTMLElement, setCompact: (isCompact: boolean) => void, pause: () => void}}
 */
export function createIntake(options) {
  const camera = createCamera({
    onPicture: (file) => options.onPictures([{ file, folder: "" }]),
    onClose: () => {
      cameraButton.setAttribute("aria-expanded", "false");
      cameraButton.focus();
    },
  });
  const cameraButton = button(
    {
      class: "w-button",
      "aria-expanded": "false",
      onclick: () => (camera.isOpen() ? camera.close() : openCamera()),
    },
    icon("camera"),
    t("page.camera"),
  );
  const openCamera = () => {
    cameraButton.setAttribute("aria-expanded", "true");
    camera.open();
  };
  const pictures = picker({ name: "pictures", accept: ACCEPTED }, options.onPictures);
  const folder = picker({ name: "folder", webkitdirectory: true }, options.onPictures);
  const browse = { class: "w-button w-button-primary", onclick: () => pictures.click() };
  const browseFolder = { class: "w-button", onclick: () => folder.click() };
  const title = h("p", { class: "w-drop-title" }, t("page.drop_title"));
  const zone = h(
    "div",
    { class: "w-drop" },
    title,
    h("p", { class: "w-drop-hint" }, hint()),
    h(
      "div",
      { class: "w-row w-drop-buttons" },
      button(browse, icon("picture"), t("page.browse")),
      hasFolders() && button(browseFolder, icon("folder"), t("page.folder")),
      cameraButton,
    ),
    options.urls && urlForm(options.onUrl),
    h("p", { class: "w-drop-limits" }, t("page.limits", { size: megabytes(options) })),
    pictures,
    folder,
  );
  zone.addEventListener("click", (event) => {
    const { target } = event;
    if (target === zone || target instanceof HTMLParagraphElement) pictures.click();
  });
  const element = h("section", { class: "w-intake", "aria-label": t("page.intake") }, zone);
  element.append(camera.element);
  listen(element, options);
  return {
    element,
    setCompact: (isCompact) => {
      element.classList.toggle("w-intake-compact", isCompact);
      title.textContent = t(isCompact ? "page.drop_next" : "page.drop_title");
    },
    pause: camera.close,
  };
}

/**
 * @param {import("../lib/dom.js").Attributes} attributes
 * @param {Options["onPictures"]} onPictures
 */
function picker(attributes, onPictures) {
  const input = h("input", {
    type: "file",
    multiple: true,
    hidden: true,
    tabindex: -1,
    "aria-label": t("page.browse"),
    ...attributes,
  });
  input.addEventListener("change", () => {
    const found = fromPicker(input.files ?? []);
    input.value = ""; // the same file can be chosen again
    if (found.length > 0) onPictures(found);
  });
  return input;
}

/** @param {Options["onUrl"]} onUrl */
function urlForm(onUrl) {
  const input = h("input", {
    type: "url",
    class: "w-input",
    required: true,
    placeholder: "https://",
    "aria-label": t("page.url"),
  });
  const submit = h("button", { class: "w-button" }, icon("link"), t("page.url_ask"));
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onUrl(input.value.trim());
    input.value = "";
  };
  return h("form", { class: "w-row w-url", onsubmit }, input, submit);
}

/**
 * @param {HTMLElement} element
 * @param {Options} options
 */
function listen(element, { onPictures, onUrl, urls }) {
  const overlay = h(
    "div",
    { class: "w-overlay", hidden: true },
    h("p", { class: "w-overlay-text" }, icon("picture"), t("page.drop_now")),
  );
  element.append(overlay);
  const bringsFiles = (/** @type {DragEvent} */ event) =>
    element.isConnected && [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const show = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    overlay.hidden = depth === 0;
  };
  window.addEventListener("dragenter", (event) => bringsFiles(event) && show(1));
  window.addEventListener("dragleave", (event) => bringsFiles(event) && show(-1));
  window.addEventListener("dragover", (event) => bringsFiles(event) && event.preventDefault());
  window.addEventListener("drop", async (event) => {
    if (!bringsFiles(event) || event.dataTransfer === null) return;
    event.preventDefault();
    show(-Infinity);
    const found = await fromDrop(event.dataTransfer);
    if (found.length > 0) onPictures(found);
  });
  window.addEventListener("paste", (event) => {
    if (!element.isConnected || event.clipboardData === null) return;
    const found = fromClipboard(event.clipboardData);
    const text = event.clipboardData.getData("text/plain").trim();
    if (found.length > 0) onPictures(found);
    else if (urls && /^https?:\/\/\S+$/.test(text) && !isField(event.target)) onUrl(text);
  });
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof Element && target.matches("input, textarea, select");
}

function hint() {
  if (isTouch()) return t("page.drop_hint_touch");
  const isMac = navigator.platform.startsWith("Mac");
  return t("page.drop_hint", { keys: isMac ? "\u2318V" : t("page.paste_keys") });
}

function isTouch() {
  return window.matchMedia("(pointer: coarse)").matches;
}

function hasFolders() {
  return "webkitdirectory" in document.createElement("input") && !isTouch();
}

/** @param {Options} options */
function megabytes({ maxUploadBytes }) {
  return Math.floor(maxUploadBytes / 1e6);
}
