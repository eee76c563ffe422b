/**
 * What is typed into the search -> which tabs it finds. Pure. Globs are as the server's:
 *
 *     *  any characters      ?  one character      [a-f]  one of these      [!ab]  one, but none of these
 *     {tag=glob,…}           these tags must be there and fit
 *
 * A word without any of these finds the tabs that have it anywhere in them. Several words, with spaces between, must all
 * fit.
 */

/**
 * @typedef {object} Tab
 * @property {string} tab    as it is written: name{key=value,…}
 * @property {string} name
 * @property {Record<string, string>} tags
 * @property {string} type   as in gauge(30)
 * @property {string} lower  `tab` in lower case
 */

/**
 * @param {string} tab
 * @param {string} type
 * @returns {Tab}
 */
export function parsed(tab, type) {
  const { name, tags } = split(tab);
  return { tab, name, tags, type, lower: tab.toLowerCase() };
}

/**
 * A tab's name and tags; the server has checked that it is one.
 * @param {string} tab
 * @returns {{name: string, tags: Record<string, string>}}
 */
export function split(tab) {
  const brace = tab.indexOf("{");
  if (brace < 0) return { name: tab, tags: {} };
  /** @type {Record<string, string>} */
  const tags = {};
  for (const tag of tab.slice(brace + 1, -1).split(",")) {
    const equals = tag.indexOf("=");
    tags[tag.slice(0, equals)] = tag.slice(equals + 1);
  }
  return { name: tab.slice(0, brace), tags };
}

/**
 * A type without its parameter: gauge of gauge(30).
 * @param {string} type
 */
export function baseType(type) {
  const at = type.indexOf("(");
  return at < 0 ? type : type.slice(0, at);
}

/**
 * @param {string} typed
 * @returns {(tab: Tab) => boolean}
 */
export function finder(typed) {
  const tests = words(typed).map(wordTest);
  return (tab) => tests.every((test) => test(tab));
}

/**
 * Words between spaces; braces hold theirs together, so that a tag's value may have a space.
 * @param {string} typed
 */
function words(typed) {
  return typed.match(/(?:[^\s{]|\{[^}]*\}?)+/g) ?? [];
}

/**
 * @param {string} word
 * @returns {(tab: Tab) => boolean}
 */
function wordTest(word) {
  const brace = word.indexOf("{");
  const name = brace < 0 ? word : word.slice(0, brace);
  const tags = brace < 0 ? [] : tagTests(word.slice(brace + 1).replace(/\}$/, ""));
  if (brace < 0 && word.startsWith("type:")) {
    const type = word.slice(5).toLowerCase();
    return (tab) => baseType(tab.type).startsWith(type);
  }
  if (!/[*?[]/.test(name)) {
    const text = name.toLowerCase();
    // An unfinished tag (key=va) is in the tab's text as it is typed.
    const named = brace < 0 ? (/** @type {Tab} */ tab) => tab.lower.includes(text) : atStart(name);
    return (tab) => named(tab) && tags.every((test) => test(tab));
  }
  const pattern = anchored(name);
  return (tab) => pattern.test(tab.name) && tags.every((test) => test(tab));
}

/**
 * Before braces a plain name is the whole name, or is left out.
 * @param {string} name
 * @returns {(tab: Tab) => boolean}
 */
function atStart(name) {
  return (tab) => name === "" || tab.name === name;
}

/**
 * @param {string} inside the text between the braces; what is unfinished fits as far as it goes
 * @returns {((tab: Tab) => boolean)[]}
 */
function tagTests(inside) {
  return inside
    .split(",")
    .filter((tag) => tag !== "")
    .map((tag) => {
      const equals = tag.indexOf("=");
      if (equals < 0) return (tab) => Object.keys(tab.tags).some((key) => key.startsWith(tag));
      const [key, value] = [tag.slice(0, equals), tag.slice(equals + 1)];
      const pattern = anchored(value === "" ? "*" : value);
      return (tab) => key in tab.tags && pattern.test(tab.tags[key]);
    });
}

/**
 * @param {string} glob
 * @returns {RegExp}
 */
export function anchored(glob) {
  const parts = glob.split(/(\*+|\?|\[!?[^\]]+\])/);
  const source = parts.map((part, index) => (index % 2 ? wild(part) : escaped(part))).join("");
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /^\b$/; // [z-a], which nothing is in
  }
}

/** @param {string} part */
function wild(part) {
  if (part.startsWith("*")) return "[^{},]*";
  if (part === "?") return "[^{},]";
  const negated = part.startsWith("[!");
  const inside = part.slice(negated ? 2 : 1, -1).replace(/[\\\]^]/g, "\\$&");
  return `[${negated ? "^{}," : ""}${inside}]`;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/**
 * How what is typed may go on: names by their next part, tags by key, and then by value. At most `most`.
 * @param {string} typed
 * @param {Tab[]} tabs those that are searched
 * @param {number} [most]
 * @returns {string[]} whole texts for the search field
 */
export function suggestions(typed, tabs, most = 8) {
  const last = words(typed).at(-1) ?? "";
  if (/\s$/.test(typed) && last) return [];
  const before = typed.slice(0, typed.length - last.length);
  const brace = last.indexOf("{");
  const found = brace < 0 ? nextNames(last, tabs) : nextTags(last, brace, tabs);
  return rank(found).filter((text) => text !== last).slice(0, most).map((text) => before + text);
}

/**
 * @param {string} start
 * @param {Tab[]} tabs
 * @returns {Map<string, number>} how many tabs each would find
 */
function nextNames(start, tabs) {
  const counts = new Map();
  const low = start.toLowerCase();
  for (const tab of tabs) {
    if (!tab.lower.startsWith(low)) continue;
    const rest = tab.name.slice(start.length);
    const at = rest.search(/[.:/]./);
    const text = at < 0 ? tab.name : `${tab.name.slice(0, start.length + at + 1)}*`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
    if (at < 0 && start === tab.name && Object.keys(tab.tags).length) count(counts, `${tab.name}{`);
  }
  return counts;
}

/**
 * @param {string} word
 * @param {number} brace
 * @param {Tab[]} tabs
 */
function nextTags(word, brace, tabs) {
  const counts = new Map();
  const comma = Math.max(word.lastIndexOf(","), brace);
  const [done, tag] = [word.slice(0, comma), word.slice(comma + 1).replace(/\}$/, "")];
  if (word.endsWith("}")) return counts;
  const fits = finder(comma === brace ? `${word.slice(0, brace) || "*"}` : `${done}}`);
  const equals = tag.indexOf("=");
  const opening = word.slice(0, comma + 1);
  for (const tab of tabs) {
    if (!fits(tab)) continue;
    for (const [key, value] of Object.entries(tab.tags)) {
      if (equals < 0) {
        if (key.startsWith(tag)) count(counts, `${opening}${key}=`);
      } else if (key === tag.slice(0, equals) && value.startsWith(tag.slice(equals + 1))) {
        count(counts, `${opening}${key}=${value}}`);
      }
    }
  }
  return counts;
}

/**
 * @param {Map<string, number>} counts
 * @param {string} text
 */
function count(counts, text) {
  counts.set(text, (counts.get(text) ?? 0) + 1);
}

/** @param {Map<string, number>} counts */
function rank(counts) {
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([text]) => text);
}
