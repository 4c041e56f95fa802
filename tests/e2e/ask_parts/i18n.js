/** Stands in for the page's own: English strings of the two modules, dates in any language. */
const strings = {};
let tag = "en";

export async function loadLanguage(wanted) {
  tag = wanted;
  for (const module of ["correct", "history"]) {
    const response = await fetch(`/ask/strings/en/${module}.json`);
    for (const [key, text] of Object.entries(await response.json())) strings[`${module}.${key}`] = text;
  }
}

export function language() {
  return tag;
}

export function t(key, params = {}) {
  const found = strings[key];
  if (found === undefined) throw new Error(`No string for ${key}`);
  const text = typeof found === "string" ? found : found[new Intl.PluralRules("en").select(params.count)];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    if (params[name] === undefined) throw new Error(`${key} lacks ${name}`);
    return String(params[name]);
  });
}

export function nameOf({ label }) {
  return label;
}

export function sentenceOf(answer) {
  return answer.text;
}
