/** The camera of this device, on only while it is looked through. */

import { t } from "../i18n.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/** @type {Record<string, string>} */
const REFUSALS = {
  NotAllowedError: "page.camera_forbidden",
  NotFoundError: "page.camera_missing",
  NotReadableError: "page.camera_taken",
};

/**
 * A panel with the camera's picture, its shutter and a way out.
 *
 * @param {{onPicture: (file: File) => void, onClose: () => void}} options `onClose` is called each
 *   time that the camera goes off.
 * @returns {{element: HTMLElement, open: () => Promise<void>, close: () => void,
 *   isOpen: () => boolean}}
 */
export function createCamera({ onPicture, onClose }) {
  const video = h("video", { class: "w-camera-video", "aria-label": t("page.camera_view") });
  video.muted = video.playsInline = true;
  const sentence = h("p", { class: "w-camera-sentence", role: "alert" });
  const main = { class: "w-button w-button-primary", onclick: take };
  const shutter = button(main, icon("camera"), t("page.camera_take"));
  const leave = button({ class: "w-button", onclick: close }, t("page.close"));
  const element = h(
    "section",
    { class: "w-camera", hidden: true, "aria-label": t("page.camera") },
    video,
    sentence,
    h("div", { class: "w-row w-camera-buttons" }, shutter, leave),
  );
  /** @type {MediaStream | null} */
  let stream = null;

  async function open() {
    element.hidden = shutter.disabled = false;
    video.hidden = true;
    sentence.textContent = "";
    try {
      const opened = await openStream();
      if (element.hidden || document.hidden) {
        stopTracks(opened);
        return;
      }
      stream = opened;
      video.srcObject = stream;
      video.hidden = false;
      await video.play();
      shutter.focus();
    } catch (error) {
      shutter.disabled = true;
      const name = error instanceof Error || error instanceof DOMException ? error.name : "";
      sentence.textContent = t(REFUSALS[name] ?? "page.camera_fails");
    }
  }

  function close() {
    if (element.hidden) return;
    stopTracks(stream);
    stream = video.srcObject = null;
    element.hidden = true;
    onClose();
  }

  async function take() {
    if (stream === null || video.videoWidth === 0) return;
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    close();
    /** @type {Blob | null} */
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    if (blob !== null) onPicture(new File([blob], "camera.jpg", { type: "image/jpeg" }));
  }

  document.addEventListener("visibilitychange", () => document.hidden && close());
  element.addEventListener("keydown", (event) => event.key === "Escape" && close());
  return { element, open, close, isOpen: () => !element.hidden };
}

async function openStream() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("no secure context");
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
  });
}

/** @param {MediaStream | null} stream */
function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
