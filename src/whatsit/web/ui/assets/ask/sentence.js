/** The answer as a sentence, without articles: these differ with the gender of each name. */

/** @typedef {import("./api.js").Scored} Scored */

const WORTH_SAYING = 0.05;
const MOST_GUESSES = 3;
const PROBABLY = 0.75;

/**
 * Say what the answer says, in another language than English.
 *
 * @param {object} words The answer, and the language's words and forms.
 * @param {import("./api.js").AnswerFacts} words.answer
 * @param {typeof import("./i18n.js").t} words.t
 * @param {typeof import("./i18n.js").nameOf} words.nameOf
 * @param {(score: number) => string} words.formatPercent
 * @param {string} words.language
 * @returns {string}
 */
export function sentenceIn({ answer, t, nameOf, formatPercent, language }) {
  const named = (/** @type {Scored} */ thing) =>
    t("sentence.named", { name: nameOf(thing), percent: formatPercent(thing.score) });
  const listed = (/** @type {Scored[]} */ things) => joined(things.map(named), language);
  const [best] = answer.set.length > 0 ? answer.set : [answer];
  const guesses = answer.set.filter((one) => one.score >= WORTH_SAYING).slice(0, MOST_GUESSES);
  if (!answer.recognised) return t("sentence.unknown", { guess: named(answer) });
  if (answer.certainty === "unsure") {
    return t("sentence.unsure", { guesses: listed(guesses.length > 0 ? guesses : [best]) });
  }
  const form = `${answer.level === "group" ? "group" : "class"}_${answer.certainty}`;
  const params = { name: nameOf(answer), percent: formatPercent(answer.score) };
  const committed = capitalised(t(`sentence.${form}`, params), language);
  if (answer.level !== "group" || guesses.length === 0) return `${committed}.`;
  const together = guesses.reduce((sum, one) => sum + one.score, 0);
  const isLikely = answer.certainty === "sure" && together >= PROBABLY;
  const key = isLikely ? "sentence.probably" : "sentence.perhaps";
  return `${committed}; ${t(key, { guesses: listed(guesses) })}.`;
}

/**
 * @param {string[]} words
 * @param {string} language
 */
function joined(words, language) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(words);
}

/**
 * @param {string} text
 * @param {string} language
 */
function capitalised(text, language) {
  return text.slice(0, 1).toLocaleUpperCase(language) + text.slice(1);
}
