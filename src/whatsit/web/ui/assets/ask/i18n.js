/** The words of the page, in the language of the person. */

import { sentenceIn } from "./sentence.js";

/** Tags that there is a folder `strings/<tag>` for; the first is the one the others fall back to. */
export const LANGUAGES = ["en", "de", "es", "pt-BR"];

const MODULES = ["page", "gallery", "correct", "history", "language", "sentence"];
const STORED = "whatsit-language";
const FALLBACK = LANGUAGES[0];

let current = FALLBACK;
/** @type {Record<string, string | Record<string, string>>} */
let strings = {};
/** @type {Map<string, string> | null} */
let names = null;
/** @type {Map<string, string> | null} */
let phrases = null;
/** @type {Map<string, string> | null} */
let wnids = null;

/** @typedef {{label: string, wnid?: string | null}} Named A label or group, with or without its number. */

/**
 * Make a language the one that everything below speaks.
 *
 * A language that the person chose on this browser comes first, then `tag`, then what the browser
 * asks for, then English. Words that can't be loaded stay English.
 *
 * @param {string} [tag] What the page around us would like, such as `de` or `pt-PT`.
 * @returns {Promise<string>} The language that was taken.
 */
export async function loadLanguage(tag) {
  const wanted = [chosen(), ...(tag ? [tag] : []), ...(navigator.languages ?? [])];
  const found = wanted.map(closest).find((one) => one !== null) ?? FALLBACK;
  const [english, translated] = await Promise.all([
    loadStrings(FALLBACK),
    found === FALLBACK ? {} : loadStrings(found),
  ]);
  [names, phrases, wnids] = found === FALLBACK ? [null, null, null] : await loadNames(found);
  strings = { ...english, ...translated };
  current = found;
  return current;
}

/**
 * Remember the person's choice on this browser, for `loadLanguage`.
 *
 * @param {string | null} tag One of `LANGUAGES`; null to follow the browser again.
 */
export function chooseLanguage(tag) {
  try {
    if (tag === null) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, tag);
  } catch {
    // A browser that keeps nothing follows its own language.
  }
}

/**
 * The tag of the language that is spoken now, for `lang` and `Intl`.
 *
 * @returns {string}
 */
export function language() {
  return current;
}

/**
 * A sentence or word.
 *
 * @param {string} key The module, a dot, and the key in its file.
 * @param {Record<string, string | number>} [params] What stands in the braces; `count` chooses
 *   between singular and plural.
 * @returns {string} The key itself where there is no such string.
 */
export function t(key, params = {}) {
  const found = strings[key];
  if (found === undefined) {
    console.error(`No string: ${key}`);
    return key;
  }
  const template = typeof found === "string" ? found : plural(found, params.count);
  return template.replace(/\{(\w+)\}/g, (braces, name) => {
    const value = params[name];
    if (value === undefined) return braces;
    return typeof value === "number" ? formatNumber(value) : value;
  });
}

/**
 * What a label is called.
 *
 * @param {Named} thing
 * @returns {string} The English name where there is no other.
 */
export function nameOf({ wnid, label }) {
  return names?.get(wnid ?? wnids?.get(label) ?? "") ?? label;
}

/**
 * What a label is called inside a sentence: with its article, where the language has one.
 *
 * @param {Named} thing
 * @returns {string} The English name without an article where there is no other.
 */
export function phraseOf({ wnid, label }) {
  return phrases?.get(wnid ?? wnids?.get(label) ?? "") ?? label;
}

/**
 * The answer as a sentence.
 *
 * @param {import("./api.js").AnswerFacts} answer The member `answer` of the API's document.
 * @returns {string} In English what the server says, to the letter; so too for an answer that this
 *   browser has kept since before answers came in parts.
 */
export function sentenceOf({ text, parts }) {
  if (current === FALLBACK || parts === undefined) return text;
  return sentenceIn({ parts, t, phraseOf, formatPercent, language: current });
}

/**
 * A score for people. Nothing a model says is certain or impossible.
 *
 * @param {number} score From 0 to 1.
 * @returns {string} From `< 1 %` to `99 %`.
 */
export function formatPercent(score) {
  if (score < 0.005) return "<\u00a01\u00a0%";
  return `${Math.min(99, Math.max(1, roundHalfToEven(score * 100)))}\u00a0%`;
}

/**
 * A duration for people.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function formatMilliseconds(milliseconds) {
  if (milliseconds < 1) return t("language.under_one_millisecond");
  if (milliseconds < 999.5) return `${formatNumber(Math.round(milliseconds))}\u00a0ms`;
  return `${formatNumber(milliseconds / 1000, 1)}\u00a0s`;
}

/**
 * A number as the language writes it.
 *
 * @param {number} value
 * @param {number} [digits] Most digits behind the point.
 * @returns {string}
 */
export function formatNumber(value, digits = 0) {
  return new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);
}

/**
 * As Python rounds, so that a percentage is the one in the server's English sentence.
 *
 * @param {number} value
 */
function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

/**
 * @param {Record<string, string>} forms
 * @param {string | number | undefined} count
 */
function plural(forms, count) {
  const form = new Intl.PluralRules(current).select(Number(count));
  return forms[form] ?? forms.other;
}

function chosen() {
  try {
    return localStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}

/**
 * The language of ours that somebody who asks for `tag` reads, if there is one.
 *
 * @param {string} tag
 */
function closest(tag) {
  const asked = tag.toLowerCase();
  const [base] = asked.split("-");
  return (
    LANGUAGES.find((one) => one.toLowerCase() === asked) ??
    LANGUAGES.find((one) => one.split("-")[0] === base) ??
    null
  );
}

/** @param {string} tag */
async function loadStrings(tag) {
  const files = await Promise.all(MODULES.map((one) => loadFile(`strings/${tag}/${one}.json`)));
  /** @type {typeof strings} */
  const all = {};
  files.forEach((file, index) => {
    for (const [key, value] of Object.entries(file)) all[`${MODULES[index]}.${key}`] = value;
  });
  return all;
}

/**
 * @param {string} tag
 * @returns {Promise<Map<string, string>[]>} Names by number, alone and in a sentence, and the numbers
 *   by English name.
 */
async function loadNames(tag) {
  const [own, english] = await Promise.all([
    loadFile(`names/${tag}.json`),
    loadFile(`names/${FALLBACK}.json`),
  ]);
  const each = (/** @type {(name: string) => string} */ form) =>
    new Map(Object.entries(own).map(([wnid, name]) => [wnid, form(name)]));
  const numbers = new Map(Object.entries(english).map(([wnid, label]) => [label, wnid]));
  return [each(alone), each(inSentence), numbers];
}

/** A name is written `[in a sentence|alone] and always`, such as `[eine ]Katze`. */
const FORMS = /\[([^|\]]*)\|?([^\]]*)\]/g;

/** @param {string} name */
function alone(name) {
  return name.replace(FORMS, "$2");
}

/** @param {string} name */
function inSentence(name) {
  return name.replace(FORMS, "$1");
}

/**
 * @param {string} path
 * @returns {Promise<Record<string, any>>} Empty where it cannot be loaded.
 */
async function loadFile(path) {
  try {
    const response = await fetch(new URL(path, import.meta.url));
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
