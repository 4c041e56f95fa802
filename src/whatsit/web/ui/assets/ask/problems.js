/** Why there is no answer, in words for people. */

import { language, t } from "./i18n.js";

/** What the server says of these is meant for programs. */
const OURS = new Set(["unauthorized", "internal", "inference"]);

/**
 * What a person can do about a refusal.
 *
 * @param {{code: string, detail: string}} problem
 * @returns {string}
 */
export function problemSentence({ code, detail }) {
  // The server's sentence names the value and the limit, but only in English.
  if (language().startsWith("en") && detail && !OURS.has(code)) return detail;
  const key = `page.problem_${code}`;
  const sentence = t(key);
  return sentence && sentence !== key ? sentence : detail;
}
