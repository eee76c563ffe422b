/**
 * How tabs and clients are named; the rules are Taba's own (docs/frame.md, `taba/names.py`).
 * What breaks one throws a RangeError that says which; a tag's value is cleaned instead, for it may come from anywhere.
 */

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}$/;
const KEY = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const CLIENT = /^[A-Za-z0-9_.:/@-]{1,200}$/;
const UNFIT_IN_VALUE = /[{},="\\\x00-\x1f\x7f]/g;
const LONE_SURROGATE = /\p{Surrogate}/gu;
const MAX_TAGS = 16;
const MAX_TAG_VALUE = 200;
export const MAX_TEXT = 1024;

/** @param {unknown} text */
const shown = (text) => JSON.stringify(text)?.slice(0, 80) ?? String(text);

/**
 * @param {string} name
 * @returns {string}
 */
export function checkName(name) {
  if (typeof name === "string" && NAME.test(name)) return name;
  throw new RangeError(
    `${shown(name)} is not a name: 1 to 200 letters, digits and _ . : / - are allowed, ` +
      "and the first must be a letter, a digit or _",
  );
}

/**
 * @param {string} client
 * @returns {string}
 */
export function checkClient(client) {
  if (typeof client === "string" && CLIENT.test(client)) return client;
  throw new RangeError(
    `${shown(client)} is not a client id: 1 to 200 letters, digits and _ . : / @ - are allowed`,
  );
}

/**
 * A tab's one written form, as in `bids.won{exchange=fbx}`: keys checked and sorted, values cleaned.
 * @param {string} name
 * @param {Record<string, unknown>} tags
 */
export function written(name, tags) {
  const keys = Object.keys(tags).sort();
  if (!keys.length) return name;
  if (keys.length > MAX_TAGS) throw new RangeError(`${keys.length} tags: a tab has at most ${MAX_TAGS}`);
  for (const key of keys) {
    if (!KEY.test(key)) {
      throw new RangeError(
        `${shown(key)} is not a tag's key: 1 to 64 letters, digits and _ . - are allowed, ` +
          "and the first must be a letter or _",
      );
    }
  }
  return `${name}{${keys.map((key) => `${key}=${cleanValue(tags[key])}`).join(",")}}`;
}

/**
 * A tag's value from anything: what it may not hold becomes `_`, and the length is cut.
 * @param {unknown} value
 */
function cleanValue(value) {
  let text;
  try {
    text = String(value);
  } catch {
    text = typeof value; // a broken toString is no reason to stop a program
  }
  return [...encodable(text.slice(0, 2 * MAX_TAG_VALUE)).replace(UNFIT_IN_VALUE, "_")].slice(0, MAX_TAG_VALUE).join("") || "_";
}

/**
 * `text` with `?` for each half of a surrogate pair, which UTF-8 cannot carry.
 * @param {string} text
 */
export const encodable = (text) => text.replace(LONE_SURROGATE, "?");

/**
 * Whether a text has more characters than one value may have; a pair of surrogates is one.
 * @param {string} text
 */
export const isTooLong = (text) => text.length > MAX_TEXT && (text.length > 2 * MAX_TEXT || [...text].length > MAX_TEXT);
