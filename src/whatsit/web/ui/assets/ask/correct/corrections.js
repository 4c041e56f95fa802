/** Corrections of items: given, and taken back. */

import { t } from "../i18n.js";
import { digestOf, isNamed } from "../item.js";
import { forEachBounded } from "../lib/parallel.js";
import { problemSentence } from "../problems.js";

export const CORRECTIONS_AT_ONCE = 4;
const MOST_GUESSES = 6;

/** @typedef {import("../api.js").Correction} Correction */
/** @typedef {import("../api.js").Verdict} Verdict */
/** @typedef {import("../item.js").Item} Item */
/** @typedef {import("../lib/parallel.js").Failure<Item>} Failure */
/** @typedef {Pick<import("../api.js").Api, "labels" | "sendFeedback" | "undoFeedback">} FeedbackApi */

/**
 * @typedef {object} Choice What a person says.
 * @property {Verdict} verdict
 * @property {string | null} [label] Left out for "right": then it is what the model said.
 * @property {string | null} [wnid]
 */

/** @type {WeakMap<Correction, Correction>} Each correction to the one whose place it took. */
const earlier = new WeakMap();

/**
 * Save what a picture really shows; `item.reply.correction` says so afterwards.
 *
 * @param {object} given
 * @param {FeedbackApi} given.api
 * @param {Item} given.item Has a digest.
 * @param {Choice} given.choice
 * @param {Blob | null} [given.picture] Only where the person agrees to its being kept.
 * @returns {Promise<{correction: Correction, isPictureLost: boolean}>} Whether a picture was given
 *   and the server kept none.
 */
export async function correct({ api, item, choice, picture = null }) {
  const { verdict } = choice;
  const { label, wnid } = (verdict === "right" && item.reply?.answer) || choice;
  const sha256 = digestOf(item) ?? "";
  const saved = await api.sendFeedback({ sha256, verdict, label, wnid, picture });
  const correction = { id: saved.id, verdict, label: saved.label, wnid: saved.wnid, at: saved.at };
  if (item.reply?.correction) earlier.set(correction, item.reply.correction);
  if (item.reply) item.reply.correction = correction;
  return { correction, isPictureLost: picture !== null && saved.picture_kept === false };
}

/**
 * Take corrections back; the ones before them count again.
 *
 * @param {object} given
 * @param {FeedbackApi} given.api
 * @param {Item[]} given.items Each with a correction. One that the server no longer knows counts
 *   as taken back.
 * @returns {Promise<{done: Item[], failed: Failure[]}>}
 */
export async function takeBack({ api, items }) {
  /** @type {Item[]} */
  const done = [];
  const undo = async (/** @type {Item} */ item) => {
    const correction = item.reply?.correction;
    if (!item.reply || !correction) return;
    try {
      await api.undoFeedback(correction.id);
    } catch (problem) {
      if (/** @type {{status?: number}} */ (problem)?.status !== 404) throw problem;
    }
    const previous = earlier.get(correction);
    if (previous) item.reply.correction = previous;
    else delete item.reply.correction;
    done.push(item);
  };
  const failed = await forEachBounded(items, undo, { atOnce: CORRECTIONS_AT_ONCE });
  return { done, failed };
}

/**
 * The model's other guesses over all pictures, most likely first.
 *
 * @param {Item[]} items
 * @returns {{label: string, wnid: string | null}[]}
 */
export function guessesOf(items) {
  /** @type {Map<string, import("../api.js").Scored>} */
  const found = new Map();
  for (const { reply } of items) {
    const isStated = items.length === 1 && isNamed(items[0]);
    for (const { label, wnid, score } of reply?.top ?? []) {
      if (isStated && label === reply?.answer?.label) continue;
      const guess = found.get(wnid ?? label) ?? { label, wnid, score: 0 };
      guess.score += score;
      found.set(wnid ?? label, guess);
    }
  }
  return [...found.values()]
    .sort((one, other) => other.score - one.score)
    .slice(0, MOST_GUESSES)
    .map(({ label, wnid }) => ({ label, wnid }));
}

/**
 * Why a correction was not saved or taken back.
 *
 * @param {any} problem What was thrown.
 * @returns {string}
 */
export function failureSentence(problem) {
  return problem?.detail ? problemSentence(problem) : t("correct.no_connection");
}
