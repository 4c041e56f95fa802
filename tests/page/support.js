/** What the tests of the page's modules need: items, and words as a browser loads them. */

import { readFile } from "node:fs/promises";
import { loadLanguage } from "../../src/whatsit/web/ui/assets/ask/i18n.js";

// A browser fetches modules' neighbours from the server; here they are files.
globalThis.fetch = async (address) => new Response(await readFile(new URL(address)));

/** Have the modules speak a language, with its real strings. */
export const speak = (tag) => loadLanguage(tag);

/** The document that the service sends for a picture. */
export function replyOf(label = "beagle", facts = {}) {
  const { score = 0.93, path = ["animal", "dog"], correction, top, ...more } = facts;
  const wnid = "n02088364";
  const answer = {
    ...{ text: `A ${label}.`, label, wnid, score, certainty: "sure", recognised: true },
    ...{ level: "class", path: [...path, label], set: [], ...more },
  };
  const image = { width: 600, height: 400, format: "JPEG", sha256: "ab".repeat(32) };
  const guesses = top ?? [{ label, wnid, score }];
  const reply = { answer, top: guesses, image, cache: "miss", timings_ms: { total: 12 } };
  return correction ? { ...reply, correction } : reply;
}

/** An item that waits. */
export function waiting(number, facts = {}) {
  return {
    ...{
      id: `p${number}`,
      name: `IMG_${number}.jpg`,
      blob: null,
      folder: "",
      at: 1_790_000_000_000,
    },
    ...{ thumbnail: null, sha256: null, state: "waiting", reply: null, problem: null, ...facts },
  };
}

/** An item with an answer. */
export function answered(number, label, { name, folder = "", ...facts } = {}) {
  const reply = replyOf(label, facts);
  return waiting(number, { name: name ?? `IMG_${number}.jpg`, folder, state: "done", reply });
}

/** An item that the service refused. */
export function refused(number, facts = {}) {
  const problem = { status: 400, code: "image_unreadable", detail: "This is not a picture." };
  return waiting(number, { state: "refused", problem, ...facts });
}
