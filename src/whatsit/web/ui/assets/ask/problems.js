/** Why there is no answer, in words for people. */

import { language, t } from "./i18n.js";

/** The server's sentences for these are meant for programs. */
const OURS = new Set(["unauthorized", "internal", "inference"]);

const SENTENCES = new Set([
  ...OURS,
  "cancelled",
  "feedback_unavailable",
  "host_not_allowed",
  "image_too_many_pixels",
  "image_unreadable",
  "image_unsupported",
  "overloaded",
  "rate_limited",
  "request_too_slow",
  "url_unreachable",
  "urls_off",
]);

/** A refusal of the server, or a server that was not reached. */
export class Problem extends Error {
  /**
   * @param {object} facts
   * @param {number} facts.status 0: the server was not reached.
   * @param {string} facts.code
   * @param {string} facts.detail
   * @param {number | null} [facts.retryAfter] In seconds.
   */
  constructor({ status, code, detail, retryAfter = null }) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/**
 * What a person can do about a refusal.
 *
 * @param {{code: string, detail: string}} problem
 * @returns {string}
 */
export function problemSentence({ code, detail }) {
  // The server's sentence names the value and the limit, but only in English.
  if (language().startsWith("en") && detail && !OURS.has(code)) return detail;
  return SENTENCES.has(code) ? t(`page.problem_${code}`) : detail;
}
