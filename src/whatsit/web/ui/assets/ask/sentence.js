/** The answer as a sentence: the parts that the server chose, in the words of a language. */

/** @typedef {import("./api.js").Part} Part */

/**
 * Say what the answer says, as strongly and in the same order.
 *
 * @param {object} words The answer's parts, and the language's words and forms.
 * @param {Part[]} words.parts At least one.
 * @param {typeof import("./i18n.js").t} words.t
 * @param {typeof import("./i18n.js").phraseOf} words.phraseOf
 * @param {(score: number) => string} words.formatPercent
 * @param {string} words.language
 * @returns {string}
 */
export function sentenceIn({ parts, t, phraseOf, formatPercent, language }) {
  const named = (/** @type {Part} */ part) =>
    t("sentence.named", { name: phraseOf(part), percent: formatPercent(part.score) });
  const listed = (/** @type {Part[]} */ run) => joined(run.map(named), language);
  const [lead, ...further] = runsOf(parts);
  const [first] = lead;
  if (first.hedge === "closest") return t("sentence.unknown", { guess: named(first) });
  if (first.role === "guess") return t("sentence.unsure", { guesses: listed(lead) });
  const committed = t(`sentence.stated_${first.hedge}`, {
    name: phraseOf(first),
    percent: formatPercent(first.score),
  });
  const guesses = further.map((run) =>
    t(`sentence.guess_${run[0].hedge}`, { guesses: listed(run) }),
  );
  const below = guesses.length > 0 ? `; ${guesses.join(", ")}` : "";
  return `${capitalised(committed, language)}${below}.`;
}

/**
 * Neighbours with one role and one hedge are alternatives.
 *
 * @param {Part[]} parts
 */
function runsOf(parts) {
  /** @type {Part[][]} */
  const runs = [];
  for (const part of parts) {
    const last = runs.at(-1);
    if (last?.[0].role === part.role && last[0].hedge === part.hedge) last.push(part);
    else runs.push([part]);
  }
  return runs;
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
