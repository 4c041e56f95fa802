/** English only, from the strings themselves. */

let strings = {};

export async function loadLanguage() {
  strings = await (await fetch("/ask/strings/en/gallery.json")).json();
}

export function t(key, params = {}) {
  const found = strings[key.replace("gallery.", "")];
  if (found === undefined) throw new Error(`there is no string for ${key}`);
  const kind = params.count === 1 ? "one" : "other";
  const text = typeof found === "string" ? found : found[kind];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    if (!(name in params)) throw new Error(`${key} lacks ${name}`);
    const value = params[name];
    return typeof value === "number" ? value.toLocaleString("en") : value;
  });
}

export const language = () => "en";
export const nameOf = ({ label }) => label;
export const formatPercent = (score) => `${Math.min(99, Math.max(1, Math.round(score * 100)))}\u00a0%`;
