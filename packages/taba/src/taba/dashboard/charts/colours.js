/**
 * The colours of the theme as a canvas takes them.
 */

const COUNT = 8;

/** @type {Record<string, number>} */
const BY_TYPE = { counter: 1, percentile: 5, gauge: 3, uniques: 6, top: 2, buffer: 4 };

/**
 * The colour of a chart's line by its place.
 * @param {number} index from 0
 */
export function seriesName(index) {
  return `--series-${(index % COUNT) + 1}`;
}

/**
 * The colour of a type, where a chart is of one tab alone.
 * @param {string} base the type without its parameter
 */
export function typeColour(base) {
  return `--series-${BY_TYPE[base] ?? 7}`;
}

/**
 * What a custom property says now.
 * @param {string} name as in --line
 */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * A colour written #rrggbb, let through.
 * @param {string} hex
 * @param {number} alpha
 */
export function faint(hex, alpha) {
  const value = Number.parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}
