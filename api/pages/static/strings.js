// The page's sentences: they arrive in the page, in its language, and are looked up by dotted key.

const sentences = JSON.parse(document.getElementById("strings").textContent);
const language = document.documentElement.lang;
const plurals = new Intl.PluralRules(language);

function find(key) {
  return key.split(".").reduce((branch, name) => branch?.[name], sentences);
}

/** The sentence at `key`, with {name} replaced by values.name. */
export function t(key, values = {}) {
  const sentence = find(key);
  if (typeof sentence !== "string") throw new Error(`no sentence ${key}`);
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** The sentence for n of something: `key_one`, `key_other`. */
export function tCount(key, n) {
  return t(`${key}_${plurals.select(n)}`, { n });
}

/** The sentence for a code that the server sent, or the group's `unknown` one. */
export function tCode(group, code) {
  return find(`${group}.${code}`) ?? t(`${group}.unknown`);
}

/** Join the parts of a line that are there. */
export function line(...parts) {
  return parts.filter(Boolean).join(" · ");
}
