/** The answer as a sentence: the parts that the server chose, in the words of a language. */

/**
 * Say what the answer says, as strongly and in the same order.
 *
 * @param {{parts: Object[], t: Function, phraseOf: Function, formatPercent: Function,
 *   language: string}} words The answer's parts, and the language's words and forms.
 * @returns {string}
 */
export function sentenceIn({ parts, t, phraseOf, formatPercent, language }) {
  const named = (part) =>
    t("sentence.named", { name: phraseOf(part), percent: formatPercent(part.score) });
  const listed = (run) => joined(run.map(named), language);
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

/** Neighbours with one role and one hedge are alternatives. */
function runsOf(parts) {
  const runs = [];
  for (const part of parts) {
    const last = runs.at(-1)?.[0];
    if (last?.role === part.role && last?.hedge === part.hedge) runs.at(-1).push(part);
    else runs.push([part]);
  }
  return runs;
}

function joined(words, language) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(words);
}

function capitalised(text, language) {
  return text.slice(0, 1).toLocaleUpperCase(language) + text.slice(1);
}
