/** Every way for pictures to come in: drop, browse, folder, paste, camera, address. */

import { createCamera } from "./camera.js";
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { fromClipboard, fromDrop, fromPicker } from "./pictures.js";

const ACCEPTED = "image/*,.heic,.heif,.avif";

/**
 * The drop zone with its buttons; drops and pastes count wherever on the page they happen.
 *
 * @param {{onPictures: (found: import("./pictures.js").Found[]) => void,
 *   onUrl: (url: string) => void, urls: boolean, maxUploadBytes: number}} options `urls`: whether
 *   addresses are taken.
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
  const cameraButton = button("camera", t("page.camera"), () =>
    camera.isOpen() ? camera.close() : openCamera(),
  );
  cameraButton.setAttribute("aria-expanded", "false");
  const openCamera = () => {
    cameraButton.setAttribute("aria-expanded", "true");
    camera.open();
  };
  const pictures = picker({ name: "pictures", accept: ACCEPTED }, options.onPictures);
  const folder = picker({ name: "folder", webkitdirectory: true }, options.onPictures);
  const browse = button("picture", t("page.browse"), () => pictures.click(), "w-button-primary");
  const title = h("p", { class: "w-drop-title" }, t("page.drop_title"));
  const zone = h(
    "div",
    { class: "w-drop" },
    title,
    h("p", { class: "w-drop-hint" }, hint()),
    h(
      "div",
      { class: "w-row w-drop-buttons" },
      browse,
      hasFolders() && button("folder", t("page.folder"), () => folder.click()),
      cameraButton,
    ),
    options.urls && urlForm(options.onUrl),
    h("p", { class: "w-drop-limits" }, t("page.limits", { size: megabytes(options) })),
    pictures,
    folder,
  );
  zone.addEventListener("click", (event) => {
    if (event.target === zone || event.target.tagName === "P") pictures.click();
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

function button(symbol, text, onclick, further = "") {
  return h("button", { type: "button", class: `w-button ${further}`, onclick }, icon(symbol), text);
}

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
    const found = fromPicker(input.files);
    input.value = ""; // the same file can be chosen again
    if (found.length > 0) onPictures(found);
  });
  return input;
}

function urlForm(onUrl) {
  const input = h("input", {
    type: "url",
    class: "w-input",
    required: true,
    placeholder: "https://",
    "aria-label": t("page.url"),
  });
  const submit = h("button", { class: "w-button" }, icon("link"), t("page.url_ask"));
  const onsubmit = (event) => {
    event.preventDefault();
    onUrl(input.value.trim());
    input.value = "";
  };
  return h("form", { class: "w-row w-url", onsubmit }, input, submit);
}

function listen(element, { onPictures, onUrl, urls }) {
  const overlay = h(
    "div",
    { class: "w-overlay", hidden: true },
    h("p", { class: "w-overlay-text" }, icon("picture"), t("page.drop_now")),
  );
  element.append(overlay);
  const bringsFiles = (event) =>
    element.isConnected && [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const show = (change) => {
    depth = Math.max(0, depth + change);
    overlay.hidden = depth === 0;
  };
  window.addEventListener("dragenter", (event) => bringsFiles(event) && show(1));
  window.addEventListener("dragleave", (event) => bringsFiles(event) && show(-1));
  window.addEventListener("dragover", (event) => bringsFiles(event) && event.preventDefault());
  window.addEventListener("drop", async (event) => {
    if (!bringsFiles(event)) return;
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

function megabytes({ maxUploadBytes }) {
  return Math.floor(maxUploadBytes / 1e6);
}
