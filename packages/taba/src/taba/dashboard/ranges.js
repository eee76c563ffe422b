/**
 * Spans of time, steps, and the time before. Pure; all in seconds since 1970.
 */

export const PRESETS = ["5m", "15m", "1h", "6h", "1d", "7d", "30d"];
export const DEFAULT_RANGE = "1h";
/** What a range is compared with: its name, and how long before. @type {Record<string, {label: string, seconds: number}>} */
export const BEFORE = {
  hour: { label: "an hour before", seconds: 3600 },
  day: { label: "a day before", seconds: 86400 },
  week: { label: "a week before", seconds: 604800 },
};
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];
/** @type {Record<string, number>} */
const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

/**
 * A range: so long until now, or from a time to a time.
 * @typedef {{name: string, span: number} | {name: null, from: number, to: number}} Range
 */

/**
 * Seconds of 90s, 10m, 1h, 1d; null where it is no duration.
 * @param {string} text
 */
export function duration(text) {
  const found = /^(\d+(?:\.\d+)?)([smhdwy])$/.exec(text.trim());
  const seconds = found ? Number(found[1]) * UNITS[found[2]] : 0;
  return seconds > 0 && seconds < 1e10 ? seconds : null;
}

/**
 * The range that an address asks for: `range`, or `from` and `to`.
 * @param {URLSearchParams} query
 * @returns {Range}
 */
export function rangeOf(query) {
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (from > 0 && to > from) return { name: null, from, to };
  const name = query.get("range") ?? DEFAULT_RANGE;
  const span = duration(name);
  return span === null ? { name: DEFAULT_RANGE, span: 3600 } : { name, span };
}

/**
 * @param {Range} range
 * @param {number} now
 * @returns {{from: number, to: number}}
 */
export function ends(range, now) {
  return range.name === null ? { from: range.from, to: range.to } : { from: now - range.span, to: now };
}

/**
 * @param {Range} range
 * @returns {number}
 */
export function spanOf(range) {
  return range.name === null ? range.to - range.from : range.span;
}

/**
 * The step of a span that gives at most `most` points.
 * @param {number} span
 * @param {number} [most]
 */
export function stepFor(span, most = 300) {
  return STEPS.find((step) => span / step <= most) ?? Math.ceil(span / most / 86400) * 86400;
}

/**
 * A duration as the server reads it.
 * @param {number} seconds
 */
export function written(seconds) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([["d", 86400], ["h", 3600], ["m", 60]])) {
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/**
 * A time for an input of the kind datetime-local, in this browser's zone.
 * @param {number} time
 */
export function localInput(time) {
  const date = new Date(time * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
