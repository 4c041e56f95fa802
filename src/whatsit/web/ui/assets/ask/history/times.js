/** Days and times, as people say them. */

import { language } from "../i18n.js";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/**
 * The day of a moment: "Today", "Monday", "3 May".
 *
 * @param {number} at In milliseconds since 1970.
 * @returns {string}
 */
export function dayInWords(at) {
  const days = daysAgo(at);
  if (days < 2) {
    const day = new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(-days, "day");
    return day.charAt(0).toLocaleUpperCase(language()) + day.slice(1);
  }
  if (days < 7) return new Intl.DateTimeFormat(language(), { weekday: "long" }).format(at);
  const isThisYear = new Date(at).getFullYear() === new Date().getFullYear();
  /** @type {Intl.DateTimeFormatOptions} */
  const form = { day: "numeric", month: "long" };
  if (!isThisYear) form.year = "numeric";
  return new Intl.DateTimeFormat(language(), form).format(at);
}

/**
 * How long ago a moment of today was; the time of day for one before.
 *
 * @param {number} at In milliseconds since 1970.
 * @returns {string}
 */
export function timeInWords(at) {
  if (daysAgo(at) > 0) {
    return new Intl.DateTimeFormat(language(), { timeStyle: "short" }).format(at);
  }
  const minutes = Math.max(0, Math.floor((Date.now() - at) / MINUTE_MS));
  const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  if (minutes === 0) return words.format(0, "second");
  if (minutes < 60) return words.format(-minutes, "minute");
  return words.format(-Math.floor(minutes / 60), "hour");
}

/** @param {number} at */
function daysAgo(at) {
  const midnight = (/** @type {number} */ when) => new Date(when).setHours(0, 0, 0, 0);
  return Math.max(0, Math.round((midnight(Date.now()) - midnight(at)) / DAY_MS));
}
