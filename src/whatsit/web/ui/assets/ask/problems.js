/** Why there is no answer, in words for people. */

import { language, t } from "./i18n.js";

/** What the server says of these is meant for programs. */
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
